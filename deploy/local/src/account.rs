//! The account Postgres runs under: it refuses to run as root, so a stack started by root drops to an ordinary user.
//! Also answers whether that user can reach a folder at all, which decides where the data may lie.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, WhileDoing};

/// An ordinary user of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// Whom Postgres has to run as: nobody else for an ordinary user, `FITTRACK_POSTGRES_USER`, `postgres` or `nobody` for root.
///
/// # Errors
/// When the caller is root and none of these users exists.
pub fn for_postgres() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").while_doing(|| "read /etc/passwd")?;
    let wanted = std::env::var("FITTRACK_POSTGRES_USER").ok();
    let names: Vec<&str> = match &wanted {
        Some(name) => vec![name.as_str()],
        None => vec!["postgres", "nobody"],
    };
    match names.iter().find_map(|name| account_in(&users, name)) {
        Some(account) => Ok(Some(account)),
        None => Err(Error::failed(format!(
            "Postgres refuses to run as root and this machine has no user {}",
            names.join(" or ")
        ))
        .advise("create one (useradd --system postgres), name another in FITTRACK_POSTGRES_USER, or run as an ordinary user")),
    }
}

fn account_in(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [user, _, uid, gid, ..] = fields.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (*user == name && uid != 0).then(|| Account { name: name.to_owned(), uid, gid })
    })
}

impl Account {
    /// Whether this user can enter a folder, judged by the permission bits of it and all above it.
    pub fn can_enter(&self, folder: &Path) -> bool {
        folder.ancestors().all(|ancestor| {
            ancestor.metadata().is_ok_and(|metadata| {
                let bit = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                metadata.permissions().mode() & bit != 0
            })
        })
    }

    /// Gives one file or folder to this user.
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .while_doing(|| format!("give {} to user {}", path.display(), self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:P,,,:/var/lib/postgresql:/bin/bash\nodd\n";

    #[test]
    fn a_user_is_found_by_its_exact_name_and_root_never() {
        assert_eq!(account_in(PASSWD, "postgres"), Some(Account { name: "postgres".into(), uid: 101, gid: 104 }));
        assert_eq!(account_in(PASSWD, "root"), None);
        assert_eq!(account_in(PASSWD, "post"), None);
    }

    #[test]
    fn a_private_folder_keeps_other_users_out_of_everything_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let other = Account { name: "other".into(), uid: 54_321, gid: 54_321 };
        assert!(!other.can_enter(&below));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&below, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(other.can_enter(&below));
    }
}
