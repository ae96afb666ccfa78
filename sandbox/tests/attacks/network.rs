//! What a cell reaches over the network: itself.

use crate::world::Case;
use std::net::TcpListener;

/// Rows 9 to 12 and 16.
#[test]
fn nothing_outside_can_be_reached_and_the_own_loopback_works() {
    let outcome = Case::new("net").run(
        "
def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect(address)
tried('v4', lambda: connect(socket.AF_INET, ('1.1.1.1', 53)))
tried('metadata', lambda: connect(socket.AF_INET, ('169.254.169.254', 80)))
tried('v6', lambda: connect(socket.AF_INET6, ('2606:4700:4700::1111', 53)))
tried('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53)))
for family in (16, 17, 38, 40):
    tried(f'family {family}', lambda: socket.socket(family, socket.SOCK_RAW))
begun = time.monotonic()
try:
    socket.getaddrinfo('example.com', 80)
    print('dns: ok')
except socket.gaierror:
    print('dns: refused' if time.monotonic() - begun < 1 else 'dns: slow')
listener = socket.create_server(('127.0.0.1', 0))
tried('loopback', lambda: connect(socket.AF_INET, listener.getsockname()))
tried('local', lambda: socket.socketpair())
",
    );
    for attempt in ["v4", "v6", "udp", "metadata"] {
        outcome.check(attempt, &["ENETUNREACH"]);
    }
    for family in [16, 17, 38, 40] {
        outcome.check(&format!("family {family}"), &["EAFNOSUPPORT", "EPERM"]);
    }
    outcome.check("dns", &["refused"]);
    outcome.check("loopback", &["ok"]);
    outcome.check("local", &["ok"]);
}

/// Rows 13 and 14.
#[test]
fn servers_of_the_host_are_not_there() {
    use std::os::linux::net::SocketAddrExt as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("ansatz-canary-{port}");
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let local = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    local.set_nonblocking(true).unwrap();
    let outcome = Case::new("loop").run(&format!(
        "
tried('port', lambda: socket.create_connection(('127.0.0.1', {port}), 2))
tried('abstract', lambda: socket.socket(socket.AF_UNIX).connect('\\0{name}'))
"
    ));
    outcome.check("port", &["ECONNREFUSED"]);
    outcome.check("abstract", &["ECONNREFUSED", "EPERM"]);
    assert!(listener.accept().is_err() && local.accept().is_err());
    // The canaries do answer those who can reach them.
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(std::os::unix::net::UnixStream::connect_addr(&address).is_ok());
}
