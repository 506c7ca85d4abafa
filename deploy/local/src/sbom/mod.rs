//! A bill of materials of a program, as `CycloneDX` 1.5: every package of the lock file that it is built from, with version, licence
//! and the hash of its archive. `deploy/fittrack sbom` writes one a program; the same sources give the same bill.

mod graph;

use serde_json::{Value, json};
use uuid::Uuid;

pub use graph::{Graph, Package};

/// The programs that are released.
pub const PROGRAMS: [&str; 3] = ["command-api", "projectors", "query-api"];
const FORMAT: &str = "1.5";

/// The bill of a program of the workspace; nothing where there is no such program.
#[expect(clippy::indexing_slicing, reason = "a component is an object, which takes any key")]
pub fn of_program(graph: &Graph, program: &str) -> Option<Value> {
    let root = graph.package_named(program)?;
    let parts = graph.built_from(root);
    let components: Vec<Value> = parts.iter().map(|part| component(part.package, part.is_only_for_building)).collect();
    let described = parts.iter().map(|part| part.package).chain([root]);
    let dependencies: Vec<Value> = described
        .map(|package| {
            let mut on: Vec<String> = graph.dependencies_of(package).map(reference).collect();
            on.sort_unstable();
            on.dedup();
            json!({ "ref": reference(package), "dependsOn": on })
        })
        .collect();
    let mut main = component(root, false);
    main["type"] = json!("application");
    let content = json!({ "components": components, "dependencies": dependencies, "main": main });
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": FORMAT,
        // Named by its content, so that equal bills have one name.
        "serialNumber": format!("urn:uuid:{}", Uuid::new_v5(&Uuid::NAMESPACE_URL, content.to_string().as_bytes())),
        "version": 1,
        "metadata": { "component": main, "properties": [{ "name": "fittrack:platform", "value": graph.platform() }] },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// A package as a component. What only runs while building is no part of the program, and is said to be `excluded`.
#[expect(clippy::indexing_slicing, reason = "a component is an object, which takes any key")]
fn component(package: &Package, is_only_for_building: bool) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(package),
        "name": package.name,
        "version": package.version,
        "scope": if is_only_for_building { "excluded" } else { "required" },
        "purl": format!("pkg:cargo/{}@{}", package.name, package.version),
    });
    if let Some(license) = &package.license {
        // Older manifests write a slash for OR.
        component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn reference(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}
