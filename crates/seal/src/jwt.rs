//! Signed assertions by which a service proves itself to an authorization server (RFC 7523, `private_key_jwt`).

use crate::{SealError, fingerprint};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA384, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// An RSA key that signs JWTs with RS384.
#[derive(Clone)]
pub struct SigningKey {
    pair: RsaKeyPair,
    /// Modulus and exponent in base64url.
    n: String,
    e: String,
    id: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// A new key of 3072 bits. Takes a second or so.
    pub fn generate() -> Result<SigningKey, SealError> {
        SigningKey::of(RsaKeyPair::generate(KeySize::Rsa3072).map_err(|_| SealError::SigningKey)?)
    }

    /// Reads a PKCS #8 private key, as PEM.
    pub fn from_pem(pem: &str) -> Result<SigningKey, SealError> {
        let lines = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let text: Zeroizing<String> = Zeroizing::new(lines.collect());
        let der = Zeroizing::new(STANDARD.decode(text.as_bytes()).map_err(|_| SealError::SigningKey)?);
        SigningKey::of(RsaKeyPair::from_pkcs8(&der).map_err(|_| SealError::SigningKey)?)
    }

    /// The private key as PEM (PKCS #8): for a file that only the server reads.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SealError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| SealError::SigningKey)?;
        let text = Zeroizing::new(STANDARD.encode(der.as_ref()));
        let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    fn of(pair: RsaKeyPair) -> Result<SigningKey, SealError> {
        let (n, e) = components(pair.public_key().as_ref()).ok_or(SealError::SigningKey)?;
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        let id = fingerprint(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes());
        Ok(SigningKey { pair, n, e, id })
    }

    /// The `kid`: a hash of the public key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a JSON web key set.
    pub fn public_keys(&self) -> String {
        let SigningKey { n, e, id, .. } = self;
        format!(
            r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS384","key_ops":["verify"],"kid":"{id}","n":"{n}","e":"{e}"}}]}}"#
        )
    }

    /// A JWT with these claims, which are the text of a JSON object.
    pub fn sign(&self, claims: &str) -> Result<String, SealError> {
        let header = format!(r#"{{"alg":"RS384","typ":"JWT","kid":"{}"}}"#, self.id);
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(&RSA_PKCS1_SHA384, &SystemRandom::new(), token.as_bytes(), &mut signature);
        signed.map_err(|_| SealError::SigningKey)?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

/// Modulus and exponent of a DER `RSAPublicKey`, without leading zeros.
fn components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (n, rest) = element(sequence, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    let trim = |number: &'_ [u8]| number.iter().take_while(|byte| **byte == 0).count();
    Some((&n[trim(n)..], &e[trim(e)..]))
}

/// The content of the DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA384, RsaPublicKeyComponents};

    #[test]
    fn a_signature_is_verified_by_the_published_key() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!((key.id(), key.public_keys()), (again.id(), again.public_keys()));
        let token = again.sign(r#"{"iss":"me"}"#).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert!(header.contains(r#""alg":"RS384""#) && header.contains(key.id()), "{header}");
        assert_eq!(URL_SAFE_NO_PAD.decode(claims).unwrap(), br#"{"iss":"me"}"#);
        let number = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        assert_eq!(key.e, "AQAB");
        let public = RsaPublicKeyComponents { n: number(&key.n), e: number(&key.e) };
        let signature = number(signature);
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA384, signed.as_bytes(), &signature).is_ok());
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA384, b"other", &signature).is_err());
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.id()));
        assert_eq!(SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap_err(), SealError::SigningKey);
    }
}
