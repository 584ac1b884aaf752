//! Compiles the protocol with `protox`, so that no `protoc` binary is needed.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=tinybase");
    let files = protox::compile(["tinybase/extension/v1/extension.proto"], ["."])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
