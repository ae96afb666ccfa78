//! The `.npy` format (NumPy's NEP 1), strictly: little-endian numbers, no objects, sizes checked before use.
//!
//! Arrays come from cells in which untrusted code ran, hence a parser that accepts only what we write.

use crate::matrix::Matrix;

/// Why bytes are not an array that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an acceptable .npy array: {0}")]
pub struct NpyError(String);

/// An array: its shape and its values as `f64` in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f64>,
}

impl Array {
    /// The array as a matrix: one axis becomes one column, two stay.
    pub fn into_matrix(self) -> Result<Matrix, NpyError> {
        let (rows, columns) = match *self.shape.as_slice() {
            [rows] => (rows, 1),
            [rows, columns] => (rows, columns),
            _ => return Err(NpyError(format!("expected one or two axes, found {:?}", self.shape))),
        };
        Matrix::new(rows, columns, self.values).ok_or_else(|| NpyError("shape and length differ".into()))
    }
}

fn field<'a>(header: &'a str, key: &str) -> Result<&'a str, NpyError> {
    let marker = format!("'{key}':");
    let start = header.find(&marker).ok_or_else(|| NpyError(format!("header lacks {key}")))? + marker.len();
    Ok(header[start..].trim_start())
}

/// Reads an array of at most `values_max` values. Accepts versions 1 and 2, C order, and the types
/// `<f8`, `<f4`, `<i8`, `<i4`, `|i1`, `|u1`, `|b1`.
///
/// # Errors
/// [`NpyError`] with the reason for anything else, truncated data and trailing bytes included.
pub fn read(bytes: &[u8], values_max: usize) -> Result<Array, NpyError> {
    let fail = |reason: &str| NpyError(reason.to_owned());
    if bytes.len() < 10 || &bytes[..6] != b"\x93NUMPY" {
        return Err(fail("magic bytes missing"));
    }
    let (start, length): (usize, usize) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        2 if bytes.len() >= 12 => {
            (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize)
        }
        version => return Err(NpyError(format!("version {version}"))),
    };
    let header = bytes.get(start..start.saturating_add(length)).ok_or_else(|| fail("header truncated"))?;
    let header = std::str::from_utf8(header).map_err(|_| fail("header is not text"))?;
    if !field(header, "fortran_order")?.starts_with("False") {
        return Err(fail("only C order is accepted"));
    }
    let descr = field(header, "descr")?.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
    let (size, decode): (usize, fn(&[u8]) -> f64) = match descr {
        Some("<f8") => (8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
        Some("<f4") => (4, |b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        Some("<i8") => (8, |b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f64),
        Some("<i4") => (4, |b| f64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        Some("|i1") => (1, |b| f64::from(i8::from_le_bytes([b[0]]))),
        Some("|u1" | "|b1") => (1, |b| f64::from(b[0])),
        other => return Err(NpyError(format!("type {other:?}"))),
    };
    let shape = field(header, "shape")?;
    let inner =
        shape.strip_prefix('(').and_then(|rest| rest.split(')').next()).ok_or_else(|| fail("shape"))?;
    let shape = inner
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse::<usize>().map_err(|_| fail("shape")))
        .collect::<Result<Vec<_>, _>>()?;
    let count = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    let count = count.filter(|&count| count <= values_max).ok_or_else(|| fail("too many values"))?;
    let body = &bytes[start + length..];
    if body.len() != count * size {
        return Err(NpyError(format!("{} bytes of data where {} are due", body.len(), count * size)));
    }
    Ok(Array { shape, values: body.chunks_exact(size).map(decode).collect() })
}

fn write(descr: &str, shape: &str, body: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(body.flatten());
    bytes
}

/// One axis of `<i8` as `.npy` bytes.
pub fn write_indices(values: &[usize]) -> Vec<u8> {
    write("<i8", &format!("({},)", values.len()), values.iter().map(|&value| (value as i64).to_le_bytes()))
}

/// One axis of `<f8` as `.npy` bytes.
pub fn write_values(values: &[f64]) -> Vec<u8> {
    write("<f8", &format!("({},)", values.len()), values.iter().map(|value| value.to_le_bytes()))
}

/// Two axes of `<f8` as `.npy` bytes.
pub fn write_matrix(matrix: &Matrix) -> Vec<u8> {
    let shape = format!("({}, {})", matrix.rows(), matrix.columns());
    write("<f8", &shape, matrix.data().iter().map(|value| value.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let matrix = Matrix::new(3, 2, vec![1.5, -2.0, f64::MAX, 0.0, -0.25, 9.0]).unwrap();
        assert_eq!(read(&write_matrix(&matrix), 6).unwrap().into_matrix().unwrap(), matrix);
        assert_eq!(read(&write_indices(&[3, 0, 7]), 10).unwrap().values, [3.0, 0.0, 7.0]);
        assert_eq!(read(&write_values(&[]), 10).unwrap().shape, [0]);
    }

    #[test]
    fn what_we_do_not_write_is_refused() {
        let good = write_values(&[1.0, 2.0]);
        let mut object = good.clone();
        let at = object.windows(3).position(|w| w == b"<f8").unwrap();
        object[at..at + 3].copy_from_slice(b"|O8");
        assert!(read(&object, 10).is_err());
        assert!(read(&good[..good.len() - 1], 10).is_err());
        assert!(read(&good, 1).is_err());
        assert!(read(b"\x93NUMPY\x01\x00\xff\xff", 1).is_err());
        assert!(read(b"", 1).is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let _ = read(&bytes, 1000);
            let mut framed = b"\x93NUMPY\x01\x00".to_vec();
            framed.extend(bytes);
            let _ = read(&framed, 1000);
        }
    }
}
