//! Which package depends on which, as cargo resolves the committed lock file for this machine's platform, with the features the
//! whole workspace is built with; and the checksums, which only the lock file has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::error::{Error, Result, WhileDoing};

/// A package of the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Package {
    id: String,
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// SHA-256 of its archive; a crate of the workspace has none.
    #[serde(skip)]
    pub checksum: Option<String>,
}

/// A package that a program is built from.
#[derive(Debug, Clone, Copy)]
pub struct Part<'g> {
    pub package: &'g Package,
    /// Whether it runs while building (a build script, a procedural macro and what they need) and never in the program.
    pub is_only_for_building: bool,
}

/// All packages, and who depends on whom.
#[derive(Debug)]
pub struct Graph {
    packages: BTreeMap<String, Package>,
    edges: BTreeMap<String, Vec<Edge>>,
    macros: BTreeSet<String>,
    platform: String,
}

#[derive(Debug)]
struct Edge {
    to: String,
    is_for_building: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<FullPackage>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct FullPackage {
    #[serde(flatten)]
    package: Package,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `build`, `dev`, or nothing for an ordinary one.
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo about the repository in this folder.
    ///
    /// # Errors
    /// When cargo cannot say, or the lock file does not fit the manifests.
    pub fn of(repository: &Path) -> Result<Self> {
        let platform = platform(repository)?;
        let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform];
        let metadata = cargo(repository, &arguments)?;
        let metadata: Metadata = serde_json::from_slice(&metadata).while_doing(|| "read what cargo says".to_owned())?;
        let lock = repository.join("Cargo.lock");
        let lock = fs::read_to_string(&lock).while_doing(|| format!("read {}", lock.display()))?;
        let mut checksums = checksums(&lock);
        let is_macro = |full: &&FullPackage| full.targets.iter().any(|target| target.kind == ["proc-macro"]);
        let macros = metadata.packages.iter().filter(is_macro).map(|full| full.package.id.clone()).collect();
        let with_checksum = |full: FullPackage| {
            let mut package = full.package;
            package.checksum = checksums.remove(&(package.name.clone(), package.version.clone()));
            (package.id.clone(), package)
        };
        let packages = metadata.packages.into_iter().map(with_checksum).collect();
        let edges = metadata.resolve.nodes.into_iter().map(|node| (node.id, edges(node.deps))).collect();
        Ok(Self { packages, edges, macros, platform })
    }

    /// The platform it was resolved for, such as `x86_64-unknown-linux-gnu`.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// The crate of the workspace with this name.
    pub fn package_named(&self, name: &str) -> Option<&Package> {
        self.packages.values().find(|package| package.name == name && package.checksum.is_none())
    }

    /// Everything this package is built from, by name and version; without itself.
    pub fn built_from(&self, root: &Package) -> Vec<Part<'_>> {
        let in_program = self.reached(&root.id, |edge| !edge.is_for_building && !self.macros.contains(&edge.to));
        let mut parts: Vec<Part<'_>> = self
            .reached(&root.id, |_| true)
            .into_iter()
            .filter(|id| *id != root.id)
            .filter_map(|id| {
                Some(Part { package: self.packages.get(id)?, is_only_for_building: !in_program.contains(id) })
            })
            .collect();
        parts.sort_unstable_by_key(|part| (&part.package.name, &part.package.version));
        parts
    }

    /// What this package itself names as its dependencies, those for its tests aside.
    pub fn dependencies_of(&self, package: &Package) -> impl Iterator<Item = &Package> {
        let edges = self.edges.get(&package.id).into_iter().flatten();
        edges.filter_map(|edge| self.packages.get(&edge.to))
    }

    fn reached<'g>(&'g self, root: &'g str, follows: impl Fn(&Edge) -> bool) -> BTreeSet<&'g str> {
        let mut found = BTreeSet::from([root]);
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            for edge in self.edges.get(id).into_iter().flatten().filter(|edge| follows(edge)) {
                if found.insert(&edge.to) {
                    open.push(&edge.to);
                }
            }
        }
        found
    }
}

/// The dependencies that are built, whatever the tests need besides.
fn edges(dependencies: Vec<Dependency>) -> Vec<Edge> {
    let edge = |dependency: Dependency| {
        let is = |wanted: Option<&str>| dependency.dep_kinds.iter().any(|kind| kind.kind.as_deref() == wanted);
        let (is_ordinary, is_built) = (is(None), is(Some("build")));
        (is_ordinary || is_built).then_some(Edge { to: dependency.pkg, is_for_building: !is_ordinary })
    };
    dependencies.into_iter().filter_map(edge).collect()
}

/// The checksums of a lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |entry: &str, key: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        line.and_then(|rest| rest.strip_suffix('"')).map(str::to_owned)
    };
    let entries = lock.split("[[package]]").skip(1);
    entries
        .filter_map(|entry| Some(((value(entry, "name")?, value(entry, "version")?), value(entry, "checksum")?)))
        .collect()
}

fn platform(repository: &Path) -> Result<String> {
    let said = cargo(repository, &["--version", "--verbose"])?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Error::failed("cargo does not say which platform this is"))
}

fn cargo(repository: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).current_dir(repository).output();
    let output = output.while_doing(|| format!("run cargo {}", arguments.join(" ")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::failed(format!("cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())))
}
