//! A proxy before an instance that passes everything on, or everything but requests for metrics.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Listens on `address` for as long as the test's process lives.
pub fn start(address: &str, behind: String, metrics: Arc<AtomicBool>) {
    let listener = TcpListener::bind(address).expect("the instance's port");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (behind, metrics) = (behind.clone(), metrics.clone());
            std::thread::spawn(move || {
                // Nobody there: whoever asked sees a broken connection.
                if let Ok(server) = TcpStream::connect(behind) {
                    both_ways(client, server, metrics);
                }
            });
        }
    });
}

fn both_ways(client: TcpStream, server: TcpStream, metrics: Arc<AtomicBool>) {
    let (Ok(to_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let back = std::thread::spawn(move || pass(from_server, to_client, |_| true));
    pass(client, server, |bytes| {
        metrics.load(Ordering::Relaxed) || !bytes.starts_with(b"GET /metrics")
    });
    let _ = back.join();
}

/// Until either side ends, or something may not pass.
fn pass(mut from: TcpStream, mut to: TcpStream, may: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if !may(&bytes[..read]) || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
