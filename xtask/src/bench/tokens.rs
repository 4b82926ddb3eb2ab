//! Design tokens: the same set built by `ashlar tokens build`, by Style Dictionary and by Terrazzo, in turn.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    site::{Result, ms},
    token_set::{THEMES, write_set},
};
use crate::run::{Start, dist_binary, target};

/// What the peers are made of; they and the Node.js they run on come from npm.
const PACKAGES: [(&str, &str); 5] = [
    ("node", "22.23.3"),
    ("style-dictionary", "5.5.5"),
    ("@terrazzo/cli", "2.7.1"),
    ("@terrazzo/plugin-css", "2.7.1"),
    ("@terrazzo/plugin-js", "2.3.0"),
];
/// Runs of our own for each round.
const OURS_PER_ROUND: usize = 7;
/// Runs in which memory is watched; watching costs time, so that these are not measured.
const MEMORY_RUNS: usize = 5;
/// A peer that takes longer for one run is measured no more at this size.
const PATIENCE: Duration = Duration::from_secs(600);

/// A program that builds the set.
struct Builder {
    name: &'static str,
    /// Where it runs: peers look for their plug-ins from here.
    home: PathBuf,
    program: PathBuf,
    args: Vec<String>,
    /// The style sheet that it writes: the proof that it did something.
    css: PathBuf,
}

#[derive(Default)]
struct Figures {
    times_ms: Vec<f64>,
    cpu_ms: f64,
    memory_mb: f64,
    properties: usize,
}

impl Figures {
    fn best(&self) -> f64 {
        self.times_ms.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.times_ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Builder {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.home).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs it once; `None` when it took longer than anybody waits.
    fn time(&self) -> Result<Option<f64>> {
        let _ = fs::remove_file(&self.css);
        let started = Instant::now();
        let mut child = self.command().start()?;
        let (id, late) = (child.id().to_string(), PATIENCE);
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let watch = thread::spawn(move || {
            let timed_out = waiting.recv_timeout(late) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if timed_out {
                let _ = Command::new("kill").arg(id).status();
            }
            timed_out
        });
        let mut said = String::new();
        if let Some(stderr) = &mut child.stderr {
            std::io::Read::read_to_string(stderr, &mut said)?;
        }
        let status = child.wait()?;
        let took = ms(started);
        drop(done);
        if watch.join().unwrap_or_default() {
            return Ok(None);
        }
        match status.success() {
            true => Ok(Some(took)),
            false => Err(format!("{}: {said}", self.name).into()),
        }
    }

    /// The most memory that it held, by the kernel's own high-water mark.
    fn memory_mb(&self) -> Result<f64> {
        let mut child = self.command().stderr(Stdio::null()).start()?;
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0.0_f64;
        while child.try_wait()?.is_none() {
            if let Ok(text) = fs::read_to_string(&status) {
                let line = text.lines().find(|l| l.starts_with("VmHWM:"));
                let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
                most = most.max(kib.unwrap_or(0.0) * 1024.0 / 1e6);
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(most)
    }
}

/// Processor time of all children that have ended, in steps of 10 ms.
fn children_cpu_ms() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name of the program stands in parentheses and may hold spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(13).take(2).map(|f| f.parse::<f64>().unwrap_or(0.0));
    Ok(ticks.sum::<f64>() * 10.0)
}

/// The peers, installed once; `Err` says why there are none.
fn install() -> Result<PathBuf> {
    let dir = target().join("bench-tokens-peers");
    fs::create_dir_all(&dir)?;
    let dependencies: Value = PACKAGES.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
    let manifest = serde_json::to_string_pretty(&json!({"private": true, "dependencies": dependencies}))?;
    let path = dir.join("package.json");
    let node = dir.join("node_modules/node/bin/node");
    if !node.exists() || fs::read_to_string(&path).unwrap_or_default() != manifest {
        fs::write(&path, &manifest)?;
        let args = ["install", "--no-audit", "--no-fund", "--silent"];
        let out = Command::new("npm")
            .args(args)
            .current_dir(&dir)
            .output()
            .map_err(|e| format!("npm cannot be run: {e}"))?;
        if !out.status.success() || !node.exists() {
            fs::remove_file(&path)?;
            let said = String::from_utf8_lossy(&out.stderr);
            return Err(
                format!("npm cannot install them: {}", said.lines().next().unwrap_or_default()).into()
            );
        }
    }
    Ok(dir)
}

/// Style Dictionary builds one theme at a time; it is given the default one.
fn style_dictionary(peers: &Path, dir: &Path, themes: &[&'static str]) -> Result<Builder> {
    let mut script = String::from("import StyleDictionary from 'style-dictionary';\n");
    for theme in themes {
        let mut sources = vec!["base", "semantic", "component"];
        let file = format!("theme-{theme}");
        sources.push(&file);
        let source: Vec<String> =
            sources.iter().map(|s| format!("{}/{s}.tokens.json", dir.display())).collect();
        let platform = |group: &str, file: &str, format: &str| {
            json!({"transformGroup": group, "buildPath": format!("{}/sd/{theme}/", dir.display()),
                   "files": [{"destination": file, "format": format}]})
        };
        let config = json!({
            "source": source,
            "log": {"verbosity": "silent", "warnings": "disabled"},
            "platforms": {
                "css": platform("css", "tokens.css", "css/variables"),
                "json": platform("js", "tokens.json", "json"),
                "js": platform("js", "tokens.js", "javascript/es6"),
            },
        });
        script.push_str(&format!("await new StyleDictionary({config}).buildAllPlatforms();\n"));
    }
    let name =
        if themes.len() == 1 { "Style Dictionary, one theme" } else { "Style Dictionary, three themes" };
    let path = peers.join(format!("style-dictionary-{}.mjs", themes.len()));
    fs::write(&path, script)?;
    Ok(Builder {
        name,
        home: peers.to_owned(),
        program: peers.join("node_modules/node/bin/node"),
        args: vec![path.display().to_string()],
        css: dir.join("sd/light/tokens.css"),
    })
}

/// Terrazzo reads the resolver document: all three themes.
fn terrazzo(peers: &Path, dir: &Path) -> Result<Builder> {
    let permutations: String = THEMES
        .iter()
        .enumerate()
        .map(|(at, theme)| {
            let selector = if at == 0 { ":root".to_owned() } else { format!("[data-theme=\"{theme}\"]") };
            format!(
                "{{ input: {{ theme: '{theme}' }}, prepare: (css) => `{selector} {{\\n${{css}}\\n}}` }},\n"
            )
        })
        .collect();
    let config = format!(
        "import {{ defineConfig }} from '@terrazzo/cli';\nimport css from '@terrazzo/plugin-css';\nimport js from '@terrazzo/plugin-js';\n\
         export default defineConfig({{\n  tokens: ['{0}/set.resolver.json'],\n  outDir: '{0}/tz/',\n  \
         lint: {{ build: {{ enabled: false }} }},\n  \
         plugins: [css({{ filename: 'tokens.css', permutations: [{permutations}] }}), js({{ filename: 'tokens.js' }})],\n}});\n",
        dir.display()
    );
    let path = peers.join("terrazzo.config.mjs");
    fs::write(&path, config)?;
    Ok(Builder {
        name: "Terrazzo, three themes",
        home: peers.to_owned(),
        program: peers.join("node_modules/node/bin/node"),
        args: vec![
            peers.join("node_modules/@terrazzo/cli/bin/cli.js").display().to_string(),
            "build".into(),
            "--config".into(),
            path.display().to_string(),
        ],
        css: dir.join("tz/tokens.css"),
    })
}

fn ours(binary: &Path, dir: &Path) -> Builder {
    let args = ["tokens", "build", "set.resolver.json", "--out", "ashlar", "--outputs", "css,json,ts"];
    Builder {
        name: "ashlar, three themes",
        home: dir.to_owned(),
        program: binary.to_owned(),
        args: args.map(str::to_owned).to_vec(),
        css: dir.join("ashlar/tokens.css"),
    }
}

/// Times all in turn, so that a busy moment of the machine meets all of them.
fn measure(builders: &[Builder], rounds: usize) -> Result<Vec<Figures>> {
    let mut all: Vec<Figures> = builders.iter().map(|_| Figures::default()).collect();
    let mut left_out = vec![false; builders.len()];
    for _ in 0..rounds {
        for (at, builder) in builders.iter().enumerate() {
            let before = children_cpu_ms()?;
            for _ in 0..if at == 0 { OURS_PER_ROUND } else { 1 } {
                if left_out[at] {
                    continue;
                }
                match builder.time() {
                    Ok(Some(took)) => all[at].times_ms.push(took),
                    Ok(None) => {
                        println!("{}: not done after {} s, left out", builder.name, PATIENCE.as_secs());
                        left_out[at] = true;
                    }
                    // A peer may give up on a large set; we may not.
                    Err(e) if at > 0 => {
                        let said = e.to_string();
                        let line = said.lines().find(|l| l.contains("rror")).unwrap_or(&said).trim();
                        println!("{}: {}", builder.name, line.chars().take(200).collect::<String>());
                        left_out[at] = true;
                    }
                    Err(e) => return Err(e),
                }
            }
            all[at].cpu_ms += children_cpu_ms()? - before;
        }
    }
    for (at, builder) in builders.iter().enumerate().filter(|(at, _)| !left_out[*at]) {
        let css = fs::read_to_string(&builder.css)?;
        all[at].properties = css.lines().filter(|l| l.trim_start().starts_with("--")).count();
        for _ in 0..if at == 0 { MEMORY_RUNS } else { 1 } {
            all[at].memory_mb = all[at].memory_mb.max(builder.memory_mb()?);
        }
    }
    Ok(all)
}

/// Builds sets of these sizes; peers take part up to `peers_max` tokens. Sets and what was built of them stay in `keep`.
///
/// # Errors
/// When our own build fails, or writes fewer custom properties than there are tokens.
pub fn run(sizes: &[usize], rounds: usize, peers_max: usize, keep: Option<&Path>) -> Result<()> {
    let binary = dist_binary()?;
    let peers = match install() {
        Ok(peers) => Some(peers),
        Err(error) => {
            println!("Style Dictionary and Terrazzo are absent ({error}); only our own figures follow");
            None
        }
    };
    let mut rates: Vec<(usize, f64)> = Vec::new();
    for &count in sizes {
        let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
        let kept = keep.map(|k| std::path::absolute(k.join(count.to_string()))).transpose()?;
        let dir = kept.as_deref().unwrap_or(temp.path());
        fs::create_dir_all(dir)?;
        let bytes = write_set(dir, count)?;
        println!(
            "\n{count} tokens in {:.1} MB: half of them aliases, three themes of which two override a fifth",
            bytes as f64 / 1e6
        );
        let mut builders = vec![ours(&binary, dir)];
        if let Some(peers) = peers.as_deref().filter(|_| count <= peers_max) {
            builders.push(style_dictionary(peers, dir, &THEMES[..1])?);
            builders.push(style_dictionary(peers, dir, &THEMES)?);
            builders.push(terrazzo(peers, dir)?);
        }
        let figures = measure(&builders, rounds)?;
        let own = &figures[0];
        if own.properties < count {
            return Err(format!("{} custom properties of {count} tokens", own.properties).into());
        }
        println!(
            "{:<32}{:>5}{:>10}{:>11}{:>10}{:>11}{:>11}{:>12}{:>11}{:>9}",
            "what",
            "runs",
            "best ms",
            "median ms",
            "CPU ms",
            "tokens/s",
            "memory MB",
            "properties",
            "by median",
            "by best"
        );
        for (builder, f) in builders.iter().zip(&figures).filter(|(_, f)| !f.times_ms.is_empty()) {
            let ratio = |theirs: f64, own: f64| match theirs / own {
                1.0 => "1".to_owned(),
                ratio => format!("1/{ratio:.0}"),
            };
            println!(
                "{:<32}{:>5}{:>10.1}{:>11.1}{:>10.1}{:>11.0}{:>11.1}{:>12}{:>11}{:>9}",
                builder.name,
                f.times_ms.len(),
                f.best(),
                f.median(),
                f.cpu_ms / f.times_ms.len() as f64,
                count as f64 / f.median() * 1e3,
                f.memory_mb,
                f.properties,
                ratio(f.median(), own.median()),
                ratio(f.best(), own.best())
            );
        }
        rates.push((count, own.median()));
    }
    println!(
        "\ntargets at 10,000 tokens: 1/40 of Style Dictionary, 1/400 of Terrazzo, 60 MB; time linear to 100,000"
    );
    if let [(few, short), .., (many, long)] = rates[..] {
        let (size, time) = (many as f64 / few as f64, long / short);
        println!("{size:.0} times the tokens take {time:.1} times as long: {:.2} of linear", time / size);
    }
    Ok(())
}
