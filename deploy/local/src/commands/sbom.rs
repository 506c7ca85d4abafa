//! `sbom`: a bill of materials of each program, for whoever has to know what a release is made of.

use std::fs;
use std::process::ExitCode;

use fittrack_local::error::WhileDoing;
use fittrack_local::{Error, Result, sbom};
use serde_json::Value;

use crate::building::repository;
use crate::cli::Sbom;

pub fn run(arguments: &Sbom) -> Result<ExitCode> {
    let folder = &arguments.out;
    fs::create_dir_all(folder).while_doing(|| format!("create {}", folder.display()))?;
    let graph = sbom::Graph::of(&repository())?;
    for program in sbom::PROGRAMS {
        let bill = sbom::of_program(&graph, program);
        let bill = bill.ok_or_else(|| Error::failed(format!("the workspace has no program {program}")))?;
        let path = folder.join(format!("{program}.cdx.json"));
        let text = serde_json::to_string_pretty(&bill).while_doing(|| format!("write {}", path.display()))?;
        fs::write(&path, text + "\n").while_doing(|| format!("write {}", path.display()))?;
        let packages = bill.get("components").and_then(Value::as_array).map_or(0, Vec::len);
        say!("{}: {packages} packages ({})", path.display(), graph.platform());
    }
    Ok(ExitCode::SUCCESS)
}
