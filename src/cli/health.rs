//! `health`: for probes that can run a program but speak no gRPC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Failure, say};

/// Longer than a healthy answer ever takes, shorter than probes wait.
const LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn check(listen: SocketAddr, service: String) -> Result<(), Failure> {
    let address = reachable(listen);
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Failure::Usage(format!("{address}: {error}")))?
        .connect_timeout(LIMIT)
        .timeout(LIMIT);
    let channel =
        endpoint.connect().await.map_err(|_| Failure::Failed(format!("nothing answers on {address}")))?;
    let request = HealthCheckRequest { service };
    let answer = HealthClient::new(channel)
        .check(request)
        .await
        .map_err(|status| Failure::Failed(format!("{:?}: {}", status.code(), status.message())))?
        .into_inner();
    let status = answer.status();
    if status == ServingStatus::Serving {
        say("SERVING");
        Ok(())
    } else {
        Err(Failure::Failed(status.as_str_name().to_owned()))
    }
}

/// A service that listens on every address is asked on the loopback one.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
