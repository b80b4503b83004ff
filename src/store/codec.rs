//! Bytes of the stores' own records: lengths as LEB128, everything else
//! little-endian. Reading never trusts a length: what does not fit is `None`.

/// Appends `value` as unsigned LEB128.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the length of `bytes` and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends 0, or 1 and what `put` appends.
pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

/// Appends u32 length and u32 CRC-32 of a record of a log, and the record.
pub(super) fn put_frame(out: &mut Vec<u8>, record: &[u8]) {
    out.extend_from_slice(&(record.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
    out.extend_from_slice(record);
}

/// Reads what the functions above wrote.
pub(super) struct Decoder<'a>(pub(super) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn varint_u32(&mut self) -> Option<u32> {
        self.varint()?.try_into().ok()
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.varint()?.try_into().ok()?;
        self.take(len)
    }

    pub(super) fn string(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// The record in a frame.
    pub(super) fn frame(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        let checksum = self.u32()?;
        let record = self.take(len as usize)?;
        (crc32fast::hash(record) == checksum).then_some(record)
    }

    /// `Some(None)` where the value is absent.
    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u64, bytes: Vec<u8>, option: Option<u32>) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_bytes(&mut out, &bytes);
            put_option(&mut out, option, |out, v| put_varint(out, u64::from(v)));
            let mut decoder = Decoder(&out);
            prop_assert_eq!(decoder.varint(), Some(value));
            prop_assert_eq!(decoder.bytes(), Some(bytes.as_slice()));
            prop_assert_eq!(decoder.option(Decoder::varint_u32), Some(option));
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut decoder = Decoder(&bytes);
            while decoder.bytes().is_some() && !decoder.is_empty() {}
            let _ = Decoder(&bytes).varint();
            let _ = Decoder(&bytes).string();
        }
    }
}
