//! Prints how many megabytes of CSS and TSX are scanned in a second, on one core.

use std::fmt::Write as _;
use std::time::Instant;

use ashlar_divergence::{Kind, Known, Language, Lexicon, Options, scan};

const BYTES: usize = 20 * 1024 * 1024;

fn main() {
    let lexicon =
        Lexicon::new(tokens(), Options { prefixes: vec!["semantic-".into()], ..Options::default() });
    for (name, size) in [("files of 6 KB", 6 * 1024), ("files of 60 KB", 60 * 1024)] {
        let (mut total, mut seconds) = (0, 0.0);
        for (language, make) in [(Language::Css, css as fn(usize, usize) -> String), (Language::Jsx, tsx)] {
            let mut files = vec![];
            let mut bytes = 0;
            while bytes < BYTES / 2 {
                let file = make(files.len(), size);
                bytes += file.len();
                files.push(file);
            }
            let start = Instant::now();
            let (mut found, mut declarations, mut notes) = (0, 0, 0);
            for file in &files {
                let report = scan(&lexicon, language, file);
                found += report.divergences.len();
                declarations += report.declarations;
                notes += usize::from(report.note.is_some());
            }
            let elapsed = start.elapsed().as_secs_f64();
            total += bytes;
            seconds += elapsed;
            println!(
                "{name}, {language:?}: {:.1} MB/s ({found} divergences in {declarations} declarations, {notes} notes)",
                bytes as f64 / 1e6 / elapsed
            );
        }
        println!("{name}, mixed: {:.1} MB/s", total as f64 / 1e6 / seconds);
    }
}

fn tokens() -> Vec<Known> {
    let token = |name: String, kind, value: String| Known {
        rank: u8::from(!name.starts_with("semantic-")),
        name,
        kind,
        value,
        deprecated: None,
        replaced_by: None,
    };
    let mut tokens = vec![];
    for i in 0..400u32 {
        let hex = format!("#{:06x}", (i * 40_503) % 0xff_ffff);
        let layer = if i % 3 == 0 { "semantic" } else { "base" };
        tokens.push(token(format!("{layer}-color-{i}"), Kind::Color, hex));
    }
    for i in 1..40 {
        tokens.push(token(format!("semantic-space-{i}"), Kind::Dimension, format!("{}px", i * 4)));
    }
    tokens.push(token("semantic-duration-fast".into(), Kind::Duration, "200ms".into()));
    tokens.push(token("semantic-radius-md".into(), Kind::Dimension, "6px".into()));
    tokens
}

fn css(seed: usize, size: usize) -> String {
    let mut css = String::new();
    let mut i = seed * 31;
    while css.len() < size {
        i += 1;
        let _ = write!(
            css,
            ".card-{i} .title:hover,\n.panel-{i} > a {{\n  display: flex;\n  align-items: center;\n  color: var(--semantic-color-{});\n  \
             background-color: #{:06x};\n  padding: {}px {}px;\n  margin: 0 auto;\n  border: 1px solid rgb(200 {} 10);\n  \
             transition: opacity 200ms ease-in-out;\n  font-family: Inter, sans-serif;\n  width: calc(100% - 20px);\n}}\n\n",
            i % 400,
            (i % 300) * 40_503 % 0xff_ffff,
            i % 30,
            i % 7,
            i % 255,
        );
    }
    css
}

fn tsx(seed: usize, size: usize) -> String {
    let mut tsx =
        String::from("import { useState, type ReactNode } from 'react';\nimport { cn } from './cn';\n\n");
    let mut i = seed * 31;
    while tsx.len() < size {
        i += 1;
        let _ = write!(
            tsx,
            "interface Props{i} {{ title: string; children?: ReactNode; onClose: (id: number) => void }}\n\n\
             /** A card with a title. */\nexport function Card{i}({{ title, children, onClose }}: Props{i}) {{\n  \
             const [open, setOpen] = useState<boolean>(false);\n  const items = [1, 2, 3].filter((n) => n > {}).map((n) => n * 2);\n  \
             if (!open && items.length === 0) {{\n    return null;\n  }}\n  return (\n    \
             <section className={{cn('flex items-center gap-4 p-[{}px] bg-surface text-sm', open && 'bg-red-500')}}>\n      \
             <h2 className=\"text-lg font-bold text-[#{:06x}] hover:underline\" style={{{{ marginTop: {}, color: '#1a2b3c' }}}}>{{title}}</h2>\n      \
             <button type=\"button\" onClick={{() => {{ setOpen(!open); onClose({i}); }}}}>Close {{items.join(', ')}}</button>\n      \
             {{children}}\n    </section>\n  );\n}}\n\n",
            i % 3,
            i % 40,
            (i % 300) * 40_503 % 0xff_ffff,
            i % 30,
        );
    }
    tsx
}
