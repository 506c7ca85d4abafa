//! Writes the client from the committed `OpenAPI` documents: a module for each service, see `generator/mod.rs`.

#[path = "generator/mod.rs"]
mod generator;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const DOCUMENTS: &str = "../../schemas/openapi";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=generator");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo says no OUT_DIR")?);
    for (service, module) in [("command-api", "command_api.rs"), ("query-api", "query_api.rs")] {
        let path = format!("{DOCUMENTS}/{service}.yaml");
        println!("cargo::rerun-if-changed={path}");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let code = generator::module(&yaml_serde::from_str(&text)?).map_err(|error| format!("{path}: {error}"))?;
        fs::write(out.join(module), code)?;
    }
    Ok(())
}
