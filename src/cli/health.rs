//! `health`: a health check for probes that can run a program but not call gRPC.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::error::CliError;
use super::output::print_status;
use crate::config::ProbeArgs;
use crate::net::listeners::ListenAddress;
use crate::net::probe;

/// Longer than a healthy service takes to answer, shorter than the usual timeout of probes.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn check(args: &ProbeArgs, service: String) -> Result<(), CliError> {
    let Some(address) = args.address() else { return Err(CliError::Usage("no address to query".to_owned())) };
    // gRPC uses the authority `localhost` for Unix sockets.
    let (address, authority, host) = match address {
        ListenAddress::Tcp(address) => {
            let address = reachable(*address);
            (ListenAddress::Tcp(address), address.to_string(), address.ip().to_string())
        }
        ListenAddress::Unix(_) => (address.clone(), "localhost".to_owned(), "localhost".to_owned()),
    };
    let tls = args.tls(&host).map_err(CliError::Usage)?;
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|error| CliError::Usage(format!("{address}: {error}")))?
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT);
    let channel = timeout(TIMEOUT, probe::connect(endpoint, address.clone(), tls.as_ref()))
        .await
        .map_err(|_| CliError::Failed(format!("nothing answers on {address}")))?
        .map_err(|error| CliError::Failed(format!("nothing answers on {address}: {}", innermost(&*error))))?;
    let request = HealthCheckRequest { service: service.clone() };
    let answer = HealthClient::new(channel).check(request).await;
    let answer = answer.map_err(|status| failed_check(&status, &service))?.into_inner();
    let status = answer.status();
    if status == ServingStatus::Serving {
        print_status("SERVING");
        Ok(())
    } else {
        Err(CliError::Failed(status.as_str_name().to_owned()))
    }
}

/// An entry that does not exist is a mistake in the definition of the probe, not an outage.
fn failed_check(status: &Status, service: &str) -> CliError {
    if status.code() == Code::NotFound {
        return CliError::Usage(format!("the service has no health entry {service:?}"));
    }
    let cause = status.source().map(|cause| format!(": {}", innermost(cause))).unwrap_or_default();
    CliError::Failed(format!("{:?}: {}{cause}", status.code(), status.message()))
}

/// The address to connect to: the loopback address for a service that listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The cause behind a generic "transport error".
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
