//! A private Postgres: its data folder, its settings and how it is started, stopped and found ready.
//! The stack starts it before everything that needs a database.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::artifacts;
use crate::error::{Result, WhileDoing};
use crate::process::{Launch, ProcessId, spawn};
use crate::secrets::write_private;

/// Everything needed to start the Postgres of one stack.
pub struct Postgres<'a> {
    /// Holds `data/`; belongs to the account Postgres runs as.
    pub folder: &'a Path,
    pub port: u16,
    pub log: &'a Path,
    pub account: Option<&'a Account>,
    pub administrator_password: &'a str,
}

/// Where the data may lie: in the stack's own folder, or outside when the user Postgres runs as cannot enter that.
///
/// # Errors
/// When the folder outside cannot be made.
pub fn choose_folder(stack: &Path, account: Option<&Account>) -> Result<PathBuf> {
    if account.is_none_or(|account| account.can_enter(stack)) {
        return Ok(stack.join("postgres"));
    }
    let outside = Path::new("/var/tmp").join(format!("fittrack-{:016x}", rand::random::<u64>()));
    // Fails where the name exists, so nobody can have laid it there for us.
    let made = fs::DirBuilder::new().mode(0o711).create(&outside);
    made.while_doing(|| format!("create {}", outside.display()))?;
    Ok(outside)
}

impl Postgres<'_> {
    /// Prepares the data folder where it is new, writes the settings and starts the server; does not wait for it.
    ///
    /// # Errors
    /// When Postgres cannot be fetched, set up or started.
    pub fn start(&self) -> Result<ProcessId> {
        let home = artifacts::postgres(self.account)?;
        let data = self.folder.join("data");
        if !data.join("PG_VERSION").exists() {
            self.initialise(&home, &data)?;
        }
        let settings = data.join("postgresql.conf");
        fs::write(&settings, self.settings()).while_doing(|| format!("write {}", settings.display()))?;
        spawn(Launch {
            program: &home.join("bin/postgres"),
            arguments: vec!["-D".into(), data.display().to_string()],
            environment: Vec::new(),
            log: self.log,
            account: self.account,
        })
    }

    fn initialise(&self, home: &Path, data: &Path) -> Result<()> {
        fs::create_dir_all(self.folder).while_doing(|| format!("create {}", self.folder.display()))?;
        fs::set_permissions(self.folder, fs::Permissions::from_mode(0o700))
            .while_doing(|| format!("protect {}", self.folder.display()))?;
        let draft = self.folder.join("data.draft");
        let _ = fs::remove_dir_all(&draft);
        let password_file = self.folder.join("password");
        write_private(&password_file, self.administrator_password)?;
        let mut command = Command::new(home.join("bin/initdb"));
        if let Some(account) = self.account {
            account.own(self.folder)?;
            account.own(&password_file)?;
            command.gid(account.gid).uid(account.uid);
        }
        command.args(["--username=postgres", "--encoding=UTF8", "--auth=scram-sha-256", "--no-instructions"]);
        command.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        command.arg(format!("--pwfile={}", password_file.display())).arg("-D").arg(&draft).current_dir("/");
        let made = artifacts::run(&mut command, "set up a Postgres data folder (initdb)");
        let _ = fs::remove_file(&password_file);
        made.map_err(|error| {
            error.advise(
                "initdb says what it lacks; it needs an account in /etc/passwd for the user it runs as, \
                 and a disk with 100 MB free",
            )
        })?;
        let extra = draft.join("extra.conf");
        let written = fs::write(&extra, "# Your own settings for this stack's Postgres; they win.\n");
        written.while_doing(|| format!("write {}", extra.display()))?;
        fs::rename(&draft, data).while_doing(|| format!("move {} into place", draft.display()))
    }

    /// The whole of `postgresql.conf`: as durable as in production, reachable from this machine alone.
    fn settings(&self) -> String {
        format!(
            "# Written at each start of the local stack; put your own settings into extra.conf beside this file.\n\
             listen_addresses = '127.0.0.1'\n\
             port = {}\n\
             unix_socket_directories = ''\n\
             max_connections = 200\n\
             fsync = on\n\
             full_page_writes = on\n\
             synchronous_commit = on\n\
             shared_buffers = 256MB\n\
             max_wal_size = 2GB\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n\
             log_line_prefix = '%m [%p] %q%u@%d '\n\
             password_encryption = 'scram-sha-256'\n\
             include_if_exists = 'extra.conf'\n",
            self.port
        )
    }
}
