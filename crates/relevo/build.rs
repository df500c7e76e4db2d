//! Joins the parts of the agent (`agent/src`) into the one file that workers load.

use std::path::Path;
use std::{env, fs};

fn main() {
    let source = Path::new("../../agent/src");
    println!("cargo::rerun-if-changed={}", source.display());
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let order = read("order.txt");
    let parts: Vec<String> = order.lines().map(|name| read(&format!("{name}.cjs"))).collect();
    let out = env::var_os("OUT_DIR").expect("cargo says where to");
    fs::write(Path::new(&out).join("agent.cjs"), parts.join("\n"))
        .expect("the file can be written");
}
