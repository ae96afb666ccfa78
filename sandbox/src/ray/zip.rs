//! Packages as Ray takes them: zip files. The same files give the same bytes, whenever and wherever they are packed.

use miniz_oxide::deflate::compress_to_vec;

/// How hard is tried: packing a program must not take longer than sending it.
const LEVEL: u8 = 2;
/// Midnight, 1 January 1980, the first moment that the format can express.
const DATE: u32 = 0x0021_0000;

/// A file in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path inside, plain and relative.
    pub name: &'a str,
    /// Its permissions.
    pub mode: u32,
    /// What it holds.
    pub bytes: &'a [u8],
}

struct Written {
    head: Vec<u8>,
    offset: u32,
    mode: u32,
}

/// Packs files. Each must be smaller than 4 GiB, as must the whole; packages for Ray are far smaller.
pub fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut written = Vec::new();
    for entry in entries {
        let packed = compress_to_vec(entry.bytes, LEVEL);
        let (method, body): (u16, &[u8]) =
            if packed.len() < entry.bytes.len() { (8, &packed) } else { (0, entry.bytes) };
        let mut head = Vec::new();
        put16(&mut head, 20); // version needed
        put16(&mut head, 0x0800); // names are UTF-8
        put16(&mut head, method);
        put32(&mut head, DATE);
        put32(&mut head, crc32fast::hash(entry.bytes));
        put32(&mut head, body.len() as u32);
        put32(&mut head, entry.bytes.len() as u32);
        put16(&mut head, entry.name.len() as u16);
        put16(&mut head, 0); // no extra field
        let offset = out.len() as u32;
        put32(&mut out, 0x0403_4b50);
        out.extend_from_slice(&head);
        out.extend_from_slice(entry.name.as_bytes());
        out.extend_from_slice(body);
        written.push(Written { head, offset, mode: entry.mode });
    }
    let start = out.len() as u32;
    for (entry, file) in entries.iter().zip(&written) {
        put32(&mut out, 0x0201_4b50);
        put16(&mut out, 0x031e); // made on Unix, so that the permissions below count
        out.extend_from_slice(&file.head);
        put16(&mut out, 0); // no comment
        put16(&mut out, 0); // first disk
        put16(&mut out, 0); // not text
        put32(&mut out, (0o100_000 | file.mode) << 16);
        put32(&mut out, file.offset);
        out.extend_from_slice(entry.name.as_bytes());
    }
    let size = out.len() as u32 - start;
    put32(&mut out, 0x0605_4b50);
    put16(&mut out, 0);
    put16(&mut out, 0);
    put16(&mut out, written.len() as u16);
    put16(&mut out, written.len() as u16);
    put32(&mut out, size);
    put32(&mut out, start);
    put16(&mut out, 0);
    out
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_reads_what_is_packed() {
        let long = vec![b'a'; 100_000];
        let noise: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let entries = [
            Entry { name: "empty", mode: 0o600, bytes: b"" },
            Entry { name: "data/long.txt", mode: 0o644, bytes: &long },
            Entry { name: "noise.bin", mode: 0o755, bytes: &noise },
        ];
        let packed = zip(&entries);
        assert_eq!(packed, zip(&entries), "the same files, the same bytes");
        assert!(packed.len() < 7000);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        std::fs::write(&path, &packed).unwrap();
        let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                      print([(i.filename, oct(i.external_attr >> 16), i.file_size) for i in z.infolist()])";
        let said = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout).trim(),
            "[('empty', '0o100600', 0), ('data/long.txt', '0o100644', 100000), ('noise.bin', '0o100755', 5000)]",
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
}
