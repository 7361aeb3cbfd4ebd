//! JSON text from parts, without an intermediate tree.

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1F => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Writes one JSON value from left to right. Commas are placed by the writer; balance is the caller's duty.
///
/// ```
/// let mut json = fhir::json::Writer::new();
/// json.object().member("resourceType").string("Bundle").member("total").raw("3").end_object();
/// assert_eq!(json.finish(), br#"{"resourceType":"Bundle","total":3}"#);
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(bytes: usize) -> Self {
        Writer { out: Vec::with_capacity(bytes) }
    }

    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    pub fn object(&mut self) -> &mut Self {
        self.comma();
        self.out.push(b'{');
        self
    }

    pub fn end_object(&mut self) -> &mut Self {
        self.out.push(b'}');
        self
    }

    pub fn array(&mut self) -> &mut Self {
        self.comma();
        self.out.push(b'[');
        self
    }

    pub fn end_array(&mut self) -> &mut Self {
        self.out.push(b']');
        self
    }

    pub fn member(&mut self, name: &str) -> &mut Self {
        self.comma();
        write_string(&mut self.out, name);
        self.out.push(b':');
        self
    }

    pub fn string(&mut self, text: &str) -> &mut Self {
        self.comma();
        write_string(&mut self.out, text);
        self
    }

    /// Appends text that is JSON already: a number, a literal, a resource.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.comma();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    pub fn number(&mut self, number: impl std::fmt::Display) -> &mut Self {
        self.raw(&number.to_string())
    }

    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }
}
