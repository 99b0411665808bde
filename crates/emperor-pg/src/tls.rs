//! TLS to the database: rustls behind the client's own interface, with libpq's modes.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

/// What is asked of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing: whoever can redirect the connection can be the server (`sslmode=require`).
    None,
    /// One of these authorities has signed it (`verify-ca`).
    Signed(PathBuf),
    /// That, and it is for the host of the URL (`verify-full`).
    SignedForHost(PathBuf),
}

/// How a connection is secured, once it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) proof: Proof,
    /// This side's certificate and key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

/// The authorities that the system trusts, where the usual systems keep them.
const OF_SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Makes TLS of connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads the files, which may have been renewed since last time.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub(crate) fn new(security: &Security) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let plain = |error: Error| error.to_string();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(plain)?;
        let verifier = Arc::new(Verifier::new(&security.proof, provider)?);
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &security.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| of_file(key, &error))?;
                builder.with_client_auth_cert(chain, key).map_err(plain)?
            }
        };
        Ok(Self(Arc::new(config).into()))
    }
}

fn of_file(file: &Path, problem: &dyn std::fmt::Display) -> String {
    format!("{}: {problem}", file.display())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    found.map_err(|error| of_file(file, &error))
}

/// The certificates in the file, or of the system for `system`.
fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let of_system = || OF_SYSTEM.into_iter().map(Path::new).find(|it| it.exists());
    let file = match file.to_str() {
        Some("system") => of_system()
            .ok_or("this system has no file of trusted authorities: name one with sslrootcert=")?,
        _ => file,
    };
    let mut store = RootCertStore::empty();
    // Systems keep some that nobody can use.
    store.add_parsable_certificates(certificates(file)?);
    match store.is_empty() {
        true => Err(of_file(file, &"no certificate of an authority in it")),
        false => Ok(store),
    }
}

/// Judges as much of a certificate as the mode asks for. That the server has the key of it is checked always.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    any_host: bool,
}

impl Verifier {
    fn new(proof: &Proof, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let (file, any_host) = match proof {
            Proof::None => (None, true),
            Proof::Signed(file) => (Some(file), true),
            Proof::SignedForHost(file) => (Some(file), false),
        };
        let authorities = file.map(|file| {
            let store = Arc::new(authorities(file)?);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider));
            verifier.build().map_err(|error| of_file(file, &error))
        });
        Ok(Self {
            authorities: authorities.transpose()?,
            provider,
            any_host,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is what is looked at last: all else is in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_host => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secured<S>;
    type TlsConnect = Connect;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Connect> {
        // A unix socket has no name, and no TLS either: that is known later only.
        let name = ServerName::try_from(host.to_owned());
        Ok(Connect(self.0.clone(), name.map_err(io::Error::other)))
    }
}

/// One handshake to be.
pub(crate) struct Connect(TlsConnector, io::Result<ServerName<'static>>);

impl<S> TlsConnect<S> for Connect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self(connector, name) = self;
        Box::pin(async move {
            let secured = connector.connect(name?, stream).await?;
            Ok(Secured(Box::new(secured)))
        })
    }
}

/// A stream inside TLS.
pub(crate) struct Secured<S>(Box<client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    // It would bind the password to this certificate; the certificate itself is what is verified here.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
