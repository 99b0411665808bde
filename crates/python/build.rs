//! Tells the root package which Python this host module fits, as `DEP_UWGATE_PYTHON_*`.

fn main() {
    let config = pyo3_build_config::get();
    let version = config.target_abi().version();
    println!("cargo::metadata=major={}", version.major);
    println!("cargo::metadata=minor={}", version.minor);
    let abi3 = std::env::var_os("CARGO_FEATURE_ABI3").is_some();
    println!("cargo::metadata=abi3={abi3}");
}
