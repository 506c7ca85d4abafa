//! How many connections one client address has open, so that one machine cannot take all of a server's.
//! Only addresses with open connections are remembered, so the memory is bounded by the server's own cap.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client_address::ClientAddress;

/// The open connections of every address.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    network: IpAddr,
}

impl Crowd {
    /// At most so many for each address.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// A place for one more connection from there, where there is one.
    pub(crate) fn enter(&self, address: ClientAddress) -> Option<Place> {
        let network = address.network();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&network).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        open.insert(network, count + 1);
        Some(Place { crowd: self.clone(), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd::new(2);
        let from = |text: &str| ClientAddress::new(text.parse().unwrap());
        let first = crowd.enter(from("2001:db8::1")).unwrap();
        let second = crowd.enter(from("2001:db8::2")).unwrap();
        assert!(crowd.enter(from("2001:db8::3")).is_none(), "the same /64");
        assert!(crowd.enter(from("2001:db8:0:1::1")).is_some());
        drop(first);
        assert!(crowd.enter(from("2001:db8::3")).is_some());
        drop(second);
        assert!(crowd.open.lock().unwrap().is_empty(), "who has left is forgotten");
    }
}
