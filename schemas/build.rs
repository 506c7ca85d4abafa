//! A migration that is added is compiled in at the next build: cargo watches the folders, the macro only the files it has seen.

fn main() {
    for folder in ["event-store", "identity", "recordings", "read-models"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
