//! Just enough of multipart/form-data to take a file.

/// A part with a file name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) field: String,
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

/// The first file of a body with this Content-Type.
pub(super) fn file(content_type: &str, body: &[u8]) -> Option<File> {
    let boundary = content_type.split("boundary=").nth(1)?.split(';').next()?.trim().trim_matches('"');
    if !content_type.starts_with("multipart/form-data") || boundary.is_empty() {
        return None;
    }
    let mark = [b"\r\n--", boundary.as_bytes()].concat();
    // The first boundary has no line break before it.
    let body = [b"\r\n", body].concat();
    let starts: Vec<usize> = positions(&body, &mark);
    starts.windows(2).find_map(|pair| part(&body[pair[0] + mark.len()..pair[1]]))
}

fn positions(body: &[u8], mark: &[u8]) -> Vec<usize> {
    (0..body.len().saturating_sub(mark.len() - 1)).filter(|at| body[*at..].starts_with(mark)).collect()
}

fn part(part: &[u8]) -> Option<File> {
    let part = part.strip_prefix(b"\r\n")?;
    let split = positions(part, b"\r\n\r\n").first().copied()?;
    let head = String::from_utf8_lossy(&part[..split]).into_owned();
    let disposition = header(&head, "content-disposition")?;
    let media_type = header(&head, "content-type").unwrap_or("application/octet-stream").to_owned();
    let name = attribute(disposition, "filename")?;
    Some(File { field: attribute(disposition, "name")?, name, media_type, bytes: part[split + 4..].to_vec() })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = |line: &'a str| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    };
    head.lines().find_map(line)
}

fn attribute(header: &str, name: &str) -> Option<String> {
    header.split(';').map(str::trim).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_among_fields() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b\r\n\
            Content-Disposition: form-data; name=\"document\"; filename=\"a.pdf\"\r\nContent-Type: application/pdf\r\n\r\n\
            %PDF\r\n\r\n-\r\n--b--\r\n";
        let found = file("multipart/form-data; boundary=b", body);
        let expected = File {
            field: "document".into(),
            name: "a.pdf".into(),
            media_type: "application/pdf".into(),
            bytes: b"%PDF\r\n\r\n-".to_vec(),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(file("application/pdf", body), None);
    }
}
