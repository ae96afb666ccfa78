//! What a cell reaches over the network: itself.

use crate::canary::Canaries;
use crate::case::{Case, hidden};
use crate::world::World;
use ansatz_sandbox::Verdict;
use std::net::{IpAddr, UdpSocket};

const CONNECT: &str = "
def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect(address)
";

/// Errors of a network with nobody in it.
fn unreachable() -> &'static [&'static str] {
    // Landlock alone gives no network of one's own; there the call itself is refused.
    if World::current() == World::UserL1 { &["EPERM"] } else { &["ENETUNREACH", "EADDRNOTAVAIL"] }
}

/// Errors of an address where nobody listens.
fn refused() -> &'static [&'static str] {
    &["ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "EPERM", "EACCES"]
}

/// The address under which others see this host, where it has one.
fn host_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the kernel only chooses the way.
    socket.connect("1.1.1.1:53").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[test]
fn row_09_ipv4() {
    let host = host_address().map_or_else(|| "10.0.0.1".to_owned(), |address| address.to_string());
    let outcome = Case::new("ipv4").run(&format!(
        "{CONNECT}
tried('public', lambda: connect(socket.AF_INET, ('1.1.1.1', 53)))
tried('host', lambda: connect(socket.AF_INET, ('{host}', 22)))
tried('broadcast', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{host}', 9)))
listener = socket.create_server(('127.0.0.1', 0))
tried('own loopback', lambda: connect(socket.AF_INET, listener.getsockname()))
tried('pair', lambda: socket.socketpair())
"
    ));
    outcome.check_all(&["public", "host", "broadcast"], unreachable());
    outcome.check_all(&["own loopback", "pair"], &["ok"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_10_ipv6() {
    let port = Canaries::get().port();
    let outcome = Case::new("ipv6").run(&format!(
        "{CONNECT}
tried('public', lambda: connect(socket.AF_INET6, ('2606:4700:4700::1111', 53)))
tried('link', lambda: connect(socket.AF_INET6, ('fe80::1', 53)))
tried('loopback', lambda: connect(socket.AF_INET6, ('::1', {port})))
tried('mapped', lambda: connect(socket.AF_INET6, ('::ffff:127.0.0.1', {port})))
"
    ));
    let nobody = ["ENETUNREACH", "EADDRNOTAVAIL", "EINVAL", "EAFNOSUPPORT", "EPERM", "EACCES"];
    outcome.check_all(&["public", "link"], &nobody);
    outcome.check_all(&["loopback", "mapped"], refused());
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_11_dns() {
    let outcome = Case::new("dns").run(
        "
begun = time.monotonic()
try:
    socket.getaddrinfo('example.com', 80)
    print('name: ok')
except socket.gaierror:
    print('name: refused' if time.monotonic() - begun < 1 else 'name: slow')
query = struct.pack('>HHHHHH', 1, 256, 1, 0, 0, 0) + b'\\x07example\\x03com\\x00' + struct.pack('>HH', 1, 1)
for server in ('1.1.1.1', '8.8.8.8', '10.0.0.2'):
    tried(server, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, (server, 53)))
",
    );
    outcome.check("name", &["refused"]);
    outcome.check_all(&["1.1.1.1", "8.8.8.8", "10.0.0.2"], unreachable());
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_12_metadata() {
    let outcome = Case::new("metadata").run(&format!(
        "{CONNECT}
for port in (80, 8080):
    tried(f'v4 {{port}}', lambda: connect(socket.AF_INET, ('169.254.169.254', port)))
tried('v6', lambda: connect(socket.AF_INET6, ('fd00:ec2::254', 80)))
"
    ));
    outcome.check_all(&["v4 80", "v4 8080"], unreachable());
    outcome.check("v6", &["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EPERM"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_13_host_loopback() {
    let port = Canaries::get().port();
    let outcome = Case::new("loopback").run(&format!(
        "
tried('canary', lambda: socket.create_connection(('127.0.0.1', {port}), 2))
for port in (6379, 8265, 10001, 8080):
    tried(f'port {{port}}', lambda: socket.create_connection(('127.0.0.1', port), 2))
tried('any address', lambda: socket.create_connection(('0.0.0.0', {port}), 2))
tried('other loopback', lambda: socket.create_connection(('127.1.2.3', {port}), 2))
"
    ));
    for attempt in [6379, 8265, 10001, 8080] {
        outcome.check(&format!("port {attempt}"), refused());
    }
    outcome.check_all(&["canary", "any address", "other loopback"], refused());
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_14_abstract_unix() {
    let name = Canaries::get().abstract_name();
    let outcome = Case::new("abstract").run(&format!(
        "
tried('stream', lambda: socket.socket(socket.AF_UNIX).connect('\\0{name}'))
tried('datagram', lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '\\0{name}'))
"
    ));
    outcome.check_all(&["stream", "datagram"], &["ECONNREFUSED", "EPERM", "EPROTOTYPE", "EACCES"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_15_path_unix() {
    let path = Canaries::get().socket();
    let outcome = Case::new("path-unix").run(&format!(
        "
for path in ['/var/run/docker.sock', '/run/docker.sock', '/run/podman/podman.sock', '/run/dbus/system_bus_socket',
             '/run/containerd/containerd.sock', '/tmp/ssh-agent', '/tmp/ray/sockets/raylet']:
    tried(path, lambda: socket.socket(socket.AF_UNIX).connect(path))
tried('canary', lambda: socket.socket(socket.AF_UNIX).connect({path:?}))
print('agent', os.environ.get('SSH_AUTH_SOCK'), os.environ.get('DOCKER_HOST'))
"
    ));
    let paths = [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/podman/podman.sock",
        "/run/dbus/system_bus_socket",
        "/run/containerd/containerd.sock",
        "/tmp/ssh-agent",
        "/tmp/ray/sockets/raylet",
        "canary",
    ];
    let mut refused = hidden().to_vec();
    refused.extend(["EPERM", "EACCES"]);
    outcome.check_all(&paths, &refused);
    outcome.check_lines(&["agent None None"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_16_odd_families() {
    let outcome = Case::new("families").run(
        "
for name, family, kind in [('netlink', 16, 3), ('packet', 17, 3), ('alg', 38, 5), ('vsock', 40, 1), ('bluetooth', 31, 3),
                           ('can', 29, 3), ('xdp', 44, 3), ('key', 15, 3), ('raw', 2, 3), ('raw6', 10, 3)]:
    tried(name, lambda: socket.socket(family, kind))
tried('tcp', lambda: socket.socket(2, 1).close())
",
    );
    let families = ["netlink", "packet", "alg", "vsock", "bluetooth", "can", "xdp", "key", "raw", "raw6"];
    outcome.check_all(&families, &["EAFNOSUPPORT", "EPROTONOSUPPORT", "EPERM", "EACCES"]);
    outcome.check("tcp", &["ok"]);
    outcome.ended(&[Verdict::Ok]);
}
