//! Signatures of webhooks: a file of secrets, then the message's id, its time and its body.
//!
//! Whatever is signed, another implementation finds the same; what is refused is not repeated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pipecat_rollout::fuzzing::delivery::Secrets;
use sha2::Sha256;

use crate::input::{parts, text};
use crate::oracle::assert_harmless;

pub(super) fn run(data: &[u8]) {
    let parts = parts(data);
    let file = text(parts[0]);
    let id = text(parts.get(1).copied().unwrap_or_default());
    let time = text(parts.get(2).copied().unwrap_or_default());
    let time: i64 = time.trim().parse().unwrap_or(1_800_000_000);
    let body = parts.get(3).copied().unwrap_or_default();
    let lines: Vec<&str> = file
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match Secrets::parse(&file) {
        Ok(secrets) => {
            let signed = secrets.sign(&id, time, body);
            let signatures: Vec<&str> = signed.split(' ').collect();
            assert_eq!(signatures.len(), lines.len());
            for (line, signature) in lines.iter().zip(signatures) {
                let secret = line.strip_prefix("whsec_").expect("a secret");
                let secret = STANDARD.decode(secret).expect("base64");
                let signature = signature.strip_prefix("v1,").expect("a version");
                let signature = STANDARD.decode(signature).expect("base64");
                let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length");
                mac.update(format!("{id}.{time}.").as_bytes());
                mac.update(body);
                mac.verify_slice(&signature).expect("the same signature");
            }
            // Only the algorithm of each is shown.
            let keys = vec!["Key { algorithm: SHA256 }"; lines.len()].join(", ");
            assert_eq!(format!("{secrets:?}"), format!("Secrets([{keys}])"));
        }
        Err(refused) => {
            let words = refused.clone();
            assert_harmless(&words);
            assert_eq!(words.lines().count(), 1, "{words}");
            for line in lines
                .iter()
                .filter(|line| line.starts_with("whsec_") && line.len() > 12)
            {
                assert!(!words.contains(*line), "{words}");
                assert!(!format!("{refused:?}").contains(*line), "{refused:?}");
            }
        }
    }
}
