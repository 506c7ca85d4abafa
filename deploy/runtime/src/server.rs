//! The HTTP server of every process: bounded in connections, header size and time, draining gracefully, one layer around all public routes.
//! `public_layers` wraps a service's router once; `serve` runs it until its token is cancelled.
//!
//! It speaks HTTP/1.1 alone, and asks for no upgrade: a proxy in front may offer clients HTTP/2 and has to bound its streams.
//! What never becomes a request (no HTTP, a head that is too long) is refused by hyper; see `unreadable`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metrics::{counter, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::client_address::{Peer, TrustedProxies};
use crate::crowd::Crowd;
use crate::edge::Edge;
pub use crate::edge::PublicLimits;
use crate::patience::{Limits, Patience, PatientStream};
use crate::problem::Problem;
use crate::unreadable::CensoredStream;

/// A pause after a failed accept (no file descriptors left, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server allows its clients.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Open connections; more are closed at once.
    pub max_connections: usize,
    /// Those of one client address; more are closed at once.
    pub max_connections_per_address: usize,
    /// Whose connections carry many clients and are not counted by address.
    pub trusted_proxies: TrustedProxies,
    /// Bytes of a request's head.
    pub max_header_bytes: usize,
    /// From the beginning of a connection to its first byte.
    pub first_byte: Duration,
    /// From the first byte of a head to its last.
    pub header_read: Duration,
    /// Silence between requests.
    pub idle: Duration,
    /// How long a client may refuse to read.
    pub write_stall: Duration,
    /// From the cancelled token to the closing of what is still open.
    pub drain: Duration,
    /// Whether TLS is in front, so that browsers are told to insist on it.
    pub hsts: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 256,
            trusted_proxies: TrustedProxies::default(),
            max_header_bytes: 16 * 1024,
            first_byte: Duration::from_secs(15),
            header_read: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(7),
            hsts: false,
        }
    }
}

/// Wraps a service's finished router with what every public answer needs, under the default limits.
pub fn public_layers(router: Router) -> Router {
    public_layers_behind(&Edge::default(), router)
}

/// Wraps a service's finished router with what every public answer needs. Call it last: routes added later are not wrapped,
/// and a fallback of the router's own is replaced.
pub fn public_layers_behind(edge: &Edge, router: Router) -> Router {
    edge.around(router.fallback(not_found).method_not_allowed_fallback(other_method)).with_state(())
}

/// Opens the port.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// A router, or what a service puts in front of it.
pub trait Application:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Application for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

/// Serves until the token is cancelled, then lets requests under way end within the drain limit.
pub async fn serve(
    listener: TcpListener,
    application: impl Application,
    limits: ServerLimits,
    token: CancellationToken,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let crowd = Crowd::new(limits.max_connections_per_address);
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    let port = listener.local_addr()?.port().to_string();
    let open = gauge!("fittrack_http_connections", "port" => port.clone());
    let refused = counter!("fittrack_http_connections_refused_total", "port" => port.clone(), "reason" => "process");
    let crowded = counter!("fittrack_http_connections_refused_total", "port" => port, "reason" => "address");
    while let Some(accepted) = token.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, Peer::of(peer)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            refused.increment(1);
            continue;
        };
        let place = if limits.trusted_proxies.contains(peer.address()) {
            None
        } else {
            let Some(place) = crowd.enter(peer.address()) else {
                crowded.increment(1);
                continue;
            };
            Some(place)
        };
        let (drain, abort) = (token.clone(), abort.clone());
        let connection = Connection { application: application.clone(), peer, limits: limits.clone(), drain, abort };
        let open = open.clone();
        connections.spawn(async move {
            open.increment(1.0);
            connection.serve(stream).await;
            open.decrement(1.0);
            drop((slot, place));
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "closing connections that did not end in time");
        abort.cancel();
        connections.wait().await;
    }
    Ok(())
}

struct Connection<A> {
    application: A,
    peer: Peer,
    limits: ServerLimits,
    drain: CancellationToken,
    abort: CancellationToken,
}

impl<A: Application> Connection<A> {
    async fn serve(self, stream: TcpStream) {
        // Without this, small answers wait for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let patience = Patience::new();
        let stream = PatientStream::new(stream, Arc::clone(&patience));
        let mut stream = CensoredStream::new(stream, Arc::clone(&patience));
        self.converse(&mut stream, &patience).await;
        self.abort.run_until_cancelled(stream.explain(self.limits.hsts)).await;
    }

    /// Until one side has had enough.
    async fn converse(&self, stream: &mut CensoredStream, patience: &Arc<Patience>) {
        let io = TokioIo::new(stream);
        let service = service_fn(|request| answer(self.application.clone(), self.peer, Arc::clone(patience), request));
        let mut connection = pin!(
            http1::Builder::new()
                .header_read_timeout(None)
                .max_header_size(self.limits.max_header_bytes)
                .max_buf_size(self.limits.max_header_bytes.max(64 * 1024))
                .serve_connection(io, service)
        );
        let limits = self.limits.patience();
        let mut ticks = tokio::time::interval(self.limits.tick());
        let mut draining = false;
        loop {
            tokio::select! {
                // What has arrived is read before anybody is found slow.
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended");
                    }
                    return;
                }
                () = self.drain.cancelled(), if !draining => {
                    draining = true;
                    // hyper would wait for the first request of a connection that has not sent any.
                    if patience.is_unused() {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                }
                () = self.abort.cancelled(), if draining => return,
                _ = ticks.tick() => {
                    if let Some(reason) = patience.exhausted(&limits) {
                        counter!("fittrack_http_connections_closed_total", "reason" => reason.as_str()).increment(1);
                        return;
                    }
                }
            }
        }
    }
}

impl ServerLimits {
    fn patience(&self) -> Limits {
        let Self { first_byte, header_read, write_stall, idle, .. } = *self;
        Limits { first_byte, header_read, write_stall, idle }
    }

    /// How often a connection's limits are looked at.
    fn tick(&self) -> Duration {
        (self.header_read.min(self.first_byte).min(self.idle).min(self.write_stall) / 2).max(Duration::from_millis(10))
    }
}

async fn answer(
    mut application: impl Application,
    peer: Peer,
    patience: Arc<Patience>,
    mut request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    /// Ends the request in the books even if hyper drops the future.
    struct Serving(Arc<Patience>);
    impl Drop for Serving {
        fn drop(&mut self) {
            self.0.request_ends();
        }
    }
    patience.request_begins();
    let serving = Serving(patience);
    request.extensions_mut().insert(peer);
    let answer = application.call(request.map(Body::new)).await?;
    Ok(answer.map(|body| serving.0.sending(body)))
}

async fn not_found() -> Problem {
    Problem::not_found("there is nothing at this path")
}

/// The router adds `Allow` to whatever this answers.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::method_not_allowed("this path does not support the method").into_response()
}

#[cfg(test)]
mod tests;
