//! Compiles the kernel program (`ebpf/`) and puts its object where `object.rs` embeds it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "bpfel-unknown-none";

const FLAGS: [&str; 4] = [
    "-Clinker=bpf-linker",
    "-Clink-arg=--btf",
    "-Cdebuginfo=2",
    // Packet fields lie anywhere; without it each byte of them is a load. The kernel takes it on every CPU that
    // Sluice is built for.
    "-Ctarget-feature=+allows-misaligned-mem-access",
];

fn main() {
    let manifest = PathBuf::from(required("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(required("OUT_DIR"));
    let ebpf = manifest.join("../../ebpf");
    for path in ["src", "abi/src", "Cargo.toml", "abi/Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", ebpf.join(path).display());
    }
    for name in ["BPF_CARGO", "BPF_RUSTC", "PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let toolchain = Toolchain::find().unwrap_or_else(|reason| fail(&reason));
    for (features, name) in [("", "sluice.o"), ("tc", "sluice_tc.o")] {
        let object = build(&toolchain, &ebpf, &out.join("bpf"), features);
        if let Err(error) = std::fs::copy(&object, out.join(name)) {
            fail(&format!("{}: {error}", object.display()));
        }
    }
}

/// A Rust toolchain with the sources of `core`, which has no precompiled form for the kernel.
struct Toolchain {
    cargo: String,
    rustc: String,
}

impl Toolchain {
    /// What the environment names, else the toolchain that builds this crate, else Debian's second Rust.
    fn find() -> Result<Toolchain, String> {
        if let Ok(rustc) = env::var("BPF_RUSTC") {
            let cargo = env::var("BPF_CARGO").unwrap_or_else(|_| "cargo".into());
            return Ok(Toolchain { cargo, rustc });
        }
        let ours = Toolchain { cargo: required("CARGO"), rustc: required("RUSTC") };
        let debian = Toolchain { cargo: "/usr/bin/cargo".into(), rustc: "/usr/bin/rustc".into() };
        [ours, debian].into_iter().find(Toolchain::has_core_sources).ok_or_else(|| {
            "no Rust toolchain here has the sources of `core`, which the kernel program is built from. \
             Run `./setup.sh build`; or `rustup component add rust-src` and `cargo install bpf-linker`; \
             or name a toolchain with BPF_RUSTC and BPF_CARGO."
                .into()
        })
    }

    fn has_core_sources(&self) -> bool {
        let Ok(output) = Command::new(&self.rustc).args(["--print", "sysroot"]).output() else {
            return false;
        };
        let sysroot = String::from_utf8_lossy(&output.stdout);
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").exists()
    }
}

fn build(toolchain: &Toolchain, ebpf: &Path, target_dir: &Path, features: &str) -> PathBuf {
    if let Err(error) = Command::new("bpf-linker").arg("--version").output() {
        fail(&format!(
            "bpf-linker does not run ({error}). Run `./setup.sh build`, or `cargo install bpf-linker`."
        ));
    }
    let mut command = Command::new(&toolchain.cargo);
    // What the outer build sets is for the host; clippy's wrapper would make the inner build fail.
    for name in [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CLIPPY_ARGS",
        "LD_LIBRARY_PATH",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(ebpf)
        .args(["build", "--locked", "--release", "-Zbuild-std=core", "--target", TARGET, "--target-dir"])
        .arg(target_dir)
        .args(["--features", features])
        .env("RUSTC", &toolchain.rustc)
        // -Zbuild-std is not stable yet, and a stable compiler of known version beats any nightly.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
        // The verifier sees what the optimiser made of the program, so every build must make the same.
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_RELEASE_LTO", "true")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    match command.status() {
        Ok(status) if status.success() => target_dir.join(TARGET).join("release/sluice-ebpf"),
        Ok(status) => fail(&format!("building the kernel program with {} failed: {status}", toolchain.cargo)),
        Err(error) => fail(&format!("{}: {error}. Run `./setup.sh build`.", toolchain.cargo)),
    }
}

fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo did not set {name}")))
}

/// Ends the build with a message that stands alone, without a backtrace around it.
fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}");
    std::process::exit(1);
}
