//! What operators and services say about the edge: the limits of one request, how much one caller may ask, whom to believe.
use std::time::Duration;

use crate::client_address::TrustedProxies;
use crate::config::{Setting, Source};
use crate::cors::CorsOrigins;
use crate::rate_limit::RateLimits;
use crate::server::ServerLimits;

/// The proxies in front.
pub const TRUSTED_PROXIES: Setting = Setting::optional(
    "FITTRACK_TRUSTED_PROXIES",
    "addresses and networks of our own proxies, whose `X-Forwarded-For` is believed",
    "10.0.0.0/8,fd00::/8",
);
/// How much one caller may ask.
pub const RATE_LIMITS: Setting = Setting::with_default(
    "FITTRACK_RATE_LIMITS",
    "auth=10/1m,write=10/1s:50,read=50/1s:250,export=5/1h",
    "requests of one athlete by class of route, as quota/window:burst, in each process; an unknown caller's address has ten times \
     as much; of auth every address has as much, whoever asks from there; `off` counts nothing",
    "write=20/1s:100",
);
/// The pages of other origins.
pub const CORS_ORIGINS: Setting = Setting::optional(
    "FITTRACK_CORS_ORIGINS",
    "origins whose pages may call the API from a browser, exactly as browsers send them",
    "https://app.example.org,http://localhost:5173",
);
/// The connections of one address.
pub const CONNECTIONS_PER_ADDRESS: Setting = Setting::with_default(
    "FITTRACK_CONNECTIONS_PER_ADDRESS",
    "256",
    "open connections of one client address (an IPv6 /64 is one); trusted proxies have no such bound",
    "1000",
);
/// Whether browsers are told to insist on TLS.
pub const TLS_IN_FRONT: Setting = Setting::with_default(
    "FITTRACK_TLS_IN_FRONT",
    "false",
    "`true` where clients come through TLS: browsers are then told to come in no other way (HSTS)",
    "true",
);

/// What the public layer allows a request.
#[derive(Debug, Clone, Copy)]
pub struct PublicLimits {
    /// Bytes of a body, where its route sets no `DefaultBodyLimit` of its own.
    pub body_bytes: usize,
    /// How long a body may take to arrive, where its route gives it no longer.
    pub body_read: Duration,
    /// For how long the rest of a body nobody wants is read, so that its sender hears the answer.
    pub linger: Duration,
    /// How long a GET or HEAD may take to answer; it goes no further then.
    pub read_handler: Duration,
    /// How long a command may take from the end of its body until its outcome is called unknown; it runs to its end.
    pub command_handler: Duration,
    /// Bytes of path and query.
    pub uri_bytes: usize,
    /// Whether TLS is in front, so that browsers are told to insist on it.
    pub hsts: bool,
}

impl Default for PublicLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            body_read: Duration::from_secs(15),
            linger: Duration::from_secs(30),
            read_handler: Duration::from_secs(10),
            command_handler: Duration::from_secs(10),
            uri_bytes: 8 * 1024,
            hsts: false,
        }
    }
}

/// Everything an edge is told.
#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// The limits of one request.
    pub limits: PublicLimits,
    /// How much one caller may ask.
    pub rate_limits: RateLimits,
    /// Whose word on a client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Whose pages may call.
    pub cors_origins: CorsOrigins,
    /// Open connections of one address.
    pub connections_per_address: usize,
}

/// Without limits on how much is asked; what operators get unless they say otherwise is in the settings themselves.
impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            limits: PublicLimits::default(),
            rate_limits: RateLimits::OFF,
            trusted_proxies: TrustedProxies::default(),
            cors_origins: CorsOrigins::default(),
            connections_per_address: ServerLimits::default().max_connections_per_address,
        }
    }
}

impl EdgeSettings {
    /// Their declarations, for a service's one documented list.
    pub const SETTINGS: &[Setting] =
        &[TRUSTED_PROXIES, RATE_LIMITS, CORS_ORIGINS, CONNECTIONS_PER_ADDRESS, TLS_IN_FRONT];

    /// Reads them.
    pub fn read(source: &mut Source) -> Self {
        let defaults = Self::default();
        let hsts = source.parsed(&TLS_IN_FRONT, false);
        Self {
            limits: PublicLimits { hsts, ..defaults.limits },
            rate_limits: source.parsed(&RATE_LIMITS, RateLimits::PRODUCTION),
            trusted_proxies: source.parsed(&TRUSTED_PROXIES, defaults.trusted_proxies),
            cors_origins: source.parsed(&CORS_ORIGINS, defaults.cors_origins),
            connections_per_address: source.parsed(&CONNECTIONS_PER_ADDRESS, defaults.connections_per_address),
        }
    }

    /// The limits of the server these are the edge of.
    pub fn server_limits(&self) -> ServerLimits {
        ServerLimits {
            max_connections_per_address: self.connections_per_address,
            trusted_proxies: self.trusted_proxies.clone(),
            hsts: self.limits.hsts,
            ..ServerLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_on_unless_an_operator_says_otherwise() {
        let read = |pairs: &[(&str, &str)]| {
            let mut source = Source::from_pairs(pairs.iter().copied());
            let settings = EdgeSettings::read(&mut source);
            source.finish().map(|()| settings).map_err(|refusal| refusal.to_string())
        };
        assert_eq!(read(&[]).unwrap().rate_limits, RateLimits::PRODUCTION);
        assert_eq!(read(&[("FITTRACK_RATE_LIMITS", "off")]).unwrap().rate_limits, RateLimits::OFF);
        assert!(read(&[("FITTRACK_TLS_IN_FRONT", "true")]).unwrap().limits.hsts);
        let all_wrong = [
            ("FITTRACK_RATE_LIMITS", "write=much"),
            ("FITTRACK_TRUSTED_PROXIES", "nginx"),
            ("FITTRACK_CORS_ORIGINS", "*"),
            ("FITTRACK_CONNECTIONS_PER_ADDRESS", "-1"),
        ];
        let refusal = read(&all_wrong).unwrap_err();
        for (name, _) in all_wrong {
            assert!(refusal.contains(name), "{refusal}");
        }
    }
}
