//! Compiles the protocol without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=sluice");
    let descriptors = protox::compile(["sluice/v1.proto"], ["."])?;
    // Plans and shards are shared by the streams of many agents, so they must clone without a copy.
    tonic_prost_build::configure()
        .codec_path("crate::codec::SmallCodec")
        .bytes(".sluice.v1.Resource.bytes")
        .bytes(".sluice.v1.Shard.bytes")
        .bytes(".sluice.v1.Part.bytes")
        .compile_fds(descriptors)?;
    Ok(())
}
