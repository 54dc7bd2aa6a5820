//! Ids that look like the platform's and are the same in every run.

/// See [`super::Scenario::deployment_id`].
pub(super) fn deployment(agent: &str, deploys: u64, alias: &str) -> String {
    match alias {
        "old" => uuid(&[agent, "new", &deploys.saturating_sub(1).to_string()]),
        alias => uuid(&[agent, alias, &deploys.to_string()]),
    }
}

/// The id of the agent itself, which outlives its deployments.
pub(super) fn service(agent: &str) -> String {
    uuid(&[agent, "service"])
}

/// An id in the form of a version 4 UUID that depends on `parts` only.
fn uuid(parts: &[&str]) -> String {
    let [high, low] = [0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15].map(|seed| hash(seed, parts));
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// FNV-1a over the parts, with splitmix64's finish so that short texts fill all the bits.
///
/// Written out here because the standard library's hasher may change between its releases.
fn hash(seed: u64, parts: &[&str]) -> u64 {
    let mut state = seed;
    for part in parts {
        // 0xff is in no UTF-8 text, so it keeps ["ab", "c"] apart from ["a", "bc"].
        for byte in part.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
