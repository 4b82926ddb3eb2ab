//! Tools over HTTP.

use ashlar_gateway::tools::{Method, Order, Request, ToolFailure};
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};

use super::server::ToolServer;

/// The most of an answer that is repeated when it is no success, in bytes.
const ERROR_BYTES_MAX: usize = 1_000;

/// Reads the beginning of a body, and whether there is more.
pub(super) async fn beginning(
    server: &ToolServer,
    mut response: Response,
    bytes_max: usize,
) -> Result<(Vec<u8>, bool), ToolFailure> {
    let mut all = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| server.failed(&error))? {
        let room = bytes_max - all.len();
        all.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((all, true));
        }
    }
    Ok((all, false))
}

/// Bytes as text. What was cut in the middle of a character ends before it.
pub(super) fn text(bytes: &[u8], cut: bool) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if cut && error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    let mut text = String::from_utf8_lossy(whole).into_owned();
    if cut {
        text.push_str("\n(cut: the result is longer)");
    }
    text
}

/// Runs a tool.
pub(super) async fn run(
    server: &ToolServer,
    order: &Order<'_>,
    request: &Request,
) -> Result<String, ToolFailure> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Delete => reqwest::Method::DELETE,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
    };
    let mut headers = server.headers(order)?;
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/*;q=0.9"));
    let mut sending = server.client.request(method, format!("{}{}", server.url, request.path));
    if let Some(body) = &request.body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        sending = sending.body(body.clone());
    }
    let sent = sending.headers(headers).timeout(order.timeout).send().await;
    let response = sent.map_err(|error| server.failed(&error))?;
    let status = response.status();
    if !status.is_success() {
        let (said, _) = beginning(server, response, ERROR_BYTES_MAX).await?;
        let said = text(&said, false);
        return Err(ToolFailure::new(format!("the tool answered {}: {}", status.as_u16(), said.trim())));
    }
    let (body, cut) = beginning(server, response, order.bytes_max).await?;
    Ok(text(&body, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_whole_character() {
        assert_eq!(text("aü".as_bytes(), false), "aü");
        assert_eq!(text(&"aü".as_bytes()[..2], true), "a\n(cut: the result is longer)");
        assert_eq!(text(&[b'a', 0xff], false), "a\u{fffd}");
    }
}
