//! Authorities and certificates of a test's own.

use std::path::PathBuf;
use std::time::Duration;

use inkbox_imessage::net::tls::{Tls, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// How soon the service sees new files.
pub(crate) const RELOAD: Duration = Duration::from_millis(20);

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for `localhost`.
    pub(crate) fn issue(&self) -> Certificate {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        Certificate { pem: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// The files of a service.
pub(crate) struct Files {
    folder: TempDir,
    has_client_ca: bool,
}

impl Files {
    /// Files with this certificate, and where there is one with this authority of clients.
    pub(crate) fn new(certificate: &Certificate, client_ca: Option<&str>) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), has_client_ca: client_ca.is_some() };
        files.write(certificate);
        if let Some(pem) = client_ca {
            files.write_client_ca(pem);
        }
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another certificate there, one file after the other.
    pub(crate) fn write(&self, certificate: &Certificate) {
        std::fs::write(self.path("cert.pem"), &certificate.pem).unwrap();
        std::fs::write(self.path("key.pem"), &certificate.key).unwrap();
    }

    pub(crate) fn write_client_ca(&self, pem: &str) {
        std::fs::write(self.path("clients.pem"), pem).unwrap();
    }

    pub(crate) fn tls(&self) -> Tls {
        let files = TlsFiles {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: self.has_client_ca.then(|| self.path("clients.pem")),
        };
        Tls::load(files, RELOAD).unwrap()
    }
}
