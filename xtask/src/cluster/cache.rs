//! A Varnish in front of both edges, as `docs/caches.md` sets it up. Workers and edges purge it.

use std::{
    error::Error,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
};

use super::service::Service;
use crate::peers;

/// A Varnish.
pub struct Cache {
    /// Where it listens.
    pub port: u16,
    /// Its process.
    pub service: Mutex<Service>,
}

/// What may be kept at all is kept for long, so that only a purge makes it new.
const KEEPS: &str = "\nsub vcl_backend_response { if (beresp.ttl > 0s) { set beresp.ttl = 1h; } }\n";

/// The VCL of the documentation, in front of ports of this machine, which are asked in turn.
fn vcl(backends: &[u16]) -> String {
    let text = include_str!("../../../docs/caches.md");
    let lines = text.lines().skip_while(|line| !line.starts_with("    vcl 4.1;"));
    let block: Vec<&str> = lines.take_while(|line| line.is_empty() || line.starts_with("    ")).collect();
    let first = backends.first().copied().unwrap_or_default();
    let mut text = block.join("\n").replace(".port = \"8080\"", &format!(".port = \"{first}\""));
    text.push_str("\nimport directors;\n");
    let mut turns = "    new turns = directors.round_robin();\n    turns.add_backend(default);\n".to_owned();
    for (number, port) in backends.iter().enumerate().skip(1) {
        text.push_str(&format!("backend b{number} {{ .host = \"127.0.0.1\"; .port = \"{port}\"; }}\n"));
        turns.push_str(&format!("    turns.add_backend(b{number});\n"));
    }
    text.push_str(&format!("sub vcl_init {{\n{turns}}}\n"));
    text.push_str("sub vcl_backend_fetch { set bereq.backend = turns.backend(); }\n");
    text + KEEPS
}

impl Cache {
    /// One in front of ports, not started yet; `None` when there is no Varnish on this machine.
    ///
    /// # Errors
    /// When there is none and everything is required, or its configuration cannot be written.
    pub fn new(dir: &Path, port: u16, backends: &[u16]) -> Result<Option<Self>, Box<dyn Error>> {
        if peers::on_path("varnishd").is_none() {
            if std::env::var_os("ASHLAR_REQUIRE_ALL").is_some() {
                return Err("varnishd is absent, and everything is required".into());
            }
            println!("without a cache: varnishd is absent");
            return Ok(None);
        }
        let (file, work) = (dir.join("front.vcl"), dir.join("varnish"));
        std::fs::write(&file, vcl(backends))?;
        let service = Service::new("Varnish", port, move || {
            let mut command = Command::new("varnishd");
            command.args(["-F", "-a", &format!("127.0.0.1:{port}"), "-s", "malloc,64m", "-f"]).arg(&file);
            command.arg("-n").arg(&work).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(command)
        });
        Ok(Some(Self { port, service: Mutex::new(service) }))
    }
}
