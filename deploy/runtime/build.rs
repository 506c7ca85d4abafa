//! Takes the two files of Swagger UI that the documentation page needs out of the crate that carries it, see `src/docs.rs`.

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::{env, error, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo says no OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut found = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let Some(file) = FILES.iter().find(|file| name.ends_with(&format!("/dist/{file}"))) else { continue };
        let mut content = String::new();
        entry.read_to_string(&mut content)?;
        // Its last line may name a map of the source, which is not served.
        let content = content.split("\n/*# sourceMappingURL=").next().unwrap_or_default();
        fs::write(out.join(file), content)?;
        found += 1;
    }
    if found == FILES.len() { Ok(()) } else { Err("Swagger UI lacks a file".into()) }
}
