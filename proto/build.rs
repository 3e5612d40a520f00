//! Compiles the protocol without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=sluice");
    let descriptors = protox::compile(["sluice/v1.proto"], ["."])?;
    // A plan is shared by the streams of its whole class, so it must clone without a copy.
    tonic_prost_build::configure().bytes(".sluice.v1.Resource.bytes").compile_fds(descriptors)?;
    Ok(())
}
