//! Reads one value of each type.

use crate::{
    Border, Color, Dimension, Shadow, Space, Stop, StrokeStyle, Transition, Type, Typography, Unit, Value,
    json::{Json, quote},
    resolve::{combination::Combination, follow::Work, wrong::Wrong},
    source::Def,
};

struct Reader<'r, 'a> {
    work: &'r mut Work<'a>,
    def: &'a Def,
    combination: Combination,
}

impl<'a> Work<'a> {
    /// Reads a value of a type; references in its parts are followed.
    pub(super) fn read(
        &mut self,
        def: &'a Def,
        ty: Type,
        json: &'a Json,
        combination: Combination,
    ) -> Result<Value, Wrong> {
        Reader { work: self, def, combination }.value(ty, json)
    }
}

const KEYWORDS: [(&str, f64); 18] = [
    ("thin", 100.0),
    ("hairline", 100.0),
    ("extra-light", 200.0),
    ("ultra-light", 200.0),
    ("light", 300.0),
    ("normal", 400.0),
    ("regular", 400.0),
    ("book", 400.0),
    ("medium", 500.0),
    ("semi-bold", 600.0),
    ("demi-bold", 600.0),
    ("bold", 700.0),
    ("extra-bold", 800.0),
    ("ultra-bold", 800.0),
    ("black", 900.0),
    ("heavy", 900.0),
    ("extra-black", 950.0),
    ("ultra-black", 950.0),
];

const STROKES: [&str; 8] = ["solid", "dashed", "dotted", "double", "groove", "ridge", "outset", "inset"];

/// `16px` as number and unit.
fn quantity(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_alphabetic() || c == '%').unwrap_or(text.len());
    Some((text[..at].trim().parse().ok().filter(|n: &f64| n.is_finite())?, &text[at..]))
}

impl<'a> Reader<'_, 'a> {
    fn value(&mut self, ty: Type, json: &'a Json) -> Result<Value, Wrong> {
        if !ty.is_standard() {
            self.work.notes.add("token-type", self.def, || format!("`{ty}`"));
        }
        Ok(match ty {
            Type::Color => Value::Color(self.color(json)?),
            Type::Dimension => Value::Dimension(self.dimension(json)?),
            Type::FontFamily => Value::FontFamily(self.family(json)?),
            Type::FontWeight => Value::FontWeight(self.weight(json)?),
            Type::Duration => Value::Duration(self.duration(json)?),
            Type::CubicBezier => Value::CubicBezier(self.bezier(json)?),
            Type::Number => Value::Number(self.number(json)?),
            Type::StrokeStyle => Value::StrokeStyle(self.stroke(json)?),
            Type::Border => {
                let json = self.object(json, "a border", "{ \"color\", \"width\", \"style\" }")?;
                Value::Border(Box::new(Border {
                    color: self.part(json, "color", Self::color)?,
                    width: self.part(json, "width", Self::dimension)?,
                    style: self.part(json, "style", Self::stroke)?,
                    rest: self.rest(json, &["color", "width", "style"])?,
                }))
            }
            Type::Transition => {
                let json =
                    self.object(json, "a transition", "{ \"duration\", \"delay\", \"timingFunction\" }")?;
                Value::Transition(Transition {
                    duration: self.part(json, "duration", Self::duration)?,
                    delay: self.optional(json, "delay", Self::duration)?.unwrap_or(0.0),
                    timing: self.part(json, "timingFunction", Self::bezier)?,
                    rest: self.rest(json, &["duration", "delay", "timingFunction"])?,
                })
            }
            Type::Shadow => Value::Shadow(self.shadows(json)?),
            Type::Gradient => Value::Gradient(self.stops(json)?),
            Type::Typography => {
                let json = self.object(
                    json,
                    "typography",
                    "{ \"fontFamily\", \"fontSize\", \"fontWeight\", \"letterSpacing\", \"lineHeight\" }",
                )?;
                let size = self.part(json, "fontSize", Self::dimension)?;
                Value::Typography(Box::new(Typography {
                    family: self.part(json, "fontFamily", Self::family)?,
                    size,
                    weight: self.optional(json, "fontWeight", Self::weight)?.unwrap_or(400.0),
                    spacing: self.optional(json, "letterSpacing", Self::dimension)?,
                    line_height: self.optional(json, "lineHeight", |r, j| r.line_height(j, size))?,
                    rest: self.rest(
                        json,
                        &["fontFamily", "fontSize", "fontWeight", "letterSpacing", "lineHeight"],
                    )?,
                }))
            }
            Type::Text => match self.literal(json)? {
                Json::Text(text) => {
                    self.work.spend(text.len())?;
                    Value::Text((**text).into())
                }
                Json::Number(number) => Value::Text(number.to_string().into()),
                Json::List(items) if items.iter().all(|i| i.text().is_some()) => {
                    self.work.spend(items.iter().filter_map(Json::text).map(|t| 2 + t.len()).sum())?;
                    Value::Text(items.iter().filter_map(Json::text).collect::<Vec<_>>().join(", ").into())
                }
                other => return Err(wrong(other, "a text", "\"…\"")),
            },
            Type::Boolean => match self.literal(json)? {
                Json::Bool(value) => Value::Boolean(*value),
                other => return Err(wrong(other, "a boolean", "true or false")),
            },
        })
    }

    fn literal(&mut self, json: &'a Json) -> Result<&'a Json, Wrong> {
        self.work.literal(json, self.combination)
    }

    fn object(&mut self, json: &'a Json, what: &str, form: &str) -> Result<&'a Json, Wrong> {
        let json = self.literal(json)?;
        match json {
            Json::Object(_) => Ok(json),
            other => Err(wrong(other, what, form)),
        }
    }

    fn part<T>(
        &mut self,
        json: &'a Json,
        name: &str,
        read: impl FnOnce(&mut Self, &'a Json) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        match json.get(name) {
            Some(part) => read(self, part).map_err(|w| w.inside(name)),
            None => Err(Wrong::new("token-value", format!("The value has no `{name}`."))
                .help(format!("add `{name}`"))),
        }
    }

    fn optional<T>(
        &mut self,
        json: &'a Json,
        name: &str,
        read: impl FnOnce(&mut Self, &'a Json) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        json.get(name).map(|part| read(self, part).map_err(|w| w.inside(name))).transpose()
    }

    /// The members of a value that the format does not have, with references in them followed where they lead to a value.
    fn rest(&mut self, json: &'a Json, known: &[&str]) -> Result<Option<Box<str>>, Wrong> {
        let Json::Object(members) = json else { return Ok(None) };
        let mut rest = String::new();
        for (name, value) in members.iter().filter(|(name, _)| !known.contains(&&**name)) {
            self.work.notes.add("token-part", self.def, || format!("`{name}`"));
            let value = self.literal(value).unwrap_or(value);
            let before = rest.len();
            if before > 0 {
                rest.push(',');
            }
            quote(&mut rest, name);
            rest.push(':');
            value.write(&mut rest);
            self.work.spend(rest.len() - before)?;
        }
        Ok((!rest.is_empty()).then(|| rest.into_boxed_str()))
    }

    fn old_style(&mut self, text: &str) {
        self.work.notes.add("token-old-style", self.def, || format!("`{text}`"));
    }

    fn number(&mut self, json: &'a Json) -> Result<f64, Wrong> {
        match self.literal(json)? {
            Json::Number(number) => Ok(*number),
            Json::Text(text) if text.trim().parse::<f64>().is_ok_and(f64::is_finite) => {
                self.old_style(text);
                Ok(text.trim().parse().unwrap_or_default())
            }
            other => Err(wrong(other, "a number", "1.5")),
        }
    }

    fn color(&mut self, json: &'a Json) -> Result<Color, Wrong> {
        const FORM: &str = "{ \"colorSpace\": \"srgb\", \"components\": [0.1, 0.2, 0.3] }";
        let json = self.literal(json)?;
        if let Json::Text(text) = json {
            let color = Color::from_css(text).ok_or_else(|| wrong(json, "a color", FORM))?;
            self.old_style(text);
            return Ok(color);
        }
        let Json::Object(_) = json else { return Err(wrong(json, "a color", FORM)) };
        let space = self.part(json, "colorSpace", |r, j| match r.literal(j)? {
            Json::Text(word) => Space::parse(word).ok_or_else(|| {
                Wrong::new("token-color-space", format!("There is no colour space `{word}`."))
                    .help(format!("one of: {}", Space::words()))
            }),
            other => Err(wrong(other, "a colour space", "\"srgb\"")),
        })?;
        let components = self.part(json, "components", |r, j| {
            let Json::List(items) = r.literal(j)? else {
                return Err(wrong(j, "a list of components", "[0.1, 0.2, 0.3]"));
            };
            let [a, b, c] = &items[..] else {
                return Err(Wrong::new(
                    "token-value",
                    format!("A colour has three components; this one has {}.", items.len()),
                )
                .help("write the opacity as `alpha`"));
            };
            let mut one = |at: usize, j: &'a Json| match r.literal(j)? {
                Json::Text(none) if &**none == "none" => Ok(None),
                Json::Number(n) => Ok(Some(*n)),
                other => Err(wrong(other, "a component", "a number or \"none\"").inside(&at.to_string())),
            };
            Ok([one(0, a)?, one(1, b)?, one(2, c)?])
        })?;
        let alpha = self.optional(json, "alpha", |r, j| {
            let alpha = r.number(j)?;
            if (0.0..=1.0).contains(&alpha) {
                Ok(alpha)
            } else {
                Err(Wrong::new("token-value", format!("An opacity lies between 0 and 1; this is {alpha}.")))
            }
        })?;
        if components
            .iter()
            .zip(space.ranges())
            .any(|(c, (low, high))| c.is_some_and(|c| c < low - 1e-6 || c > high + 1e-6))
        {
            let shown = components.map(|c| c.map_or_else(|| "none".to_owned(), |c| c.to_string())).join(", ");
            self.work.notes.add("token-range", self.def, || format!("`[{shown}]` in {}", space.word()));
        }
        let fallback = match json.get("hex") {
            Some(hex) => match self.literal(hex)?.text().and_then(sixteen) {
                Some(hex) => Some(hex),
                None => {
                    return Err(wrong(hex, "a colour in hex", "\"#1a2b3c\"").inside("hex"));
                }
            },
            None => None,
        };
        Ok(Color { space, components, alpha: alpha.unwrap_or(1.0), fallback })
    }

    fn measure(&mut self, json: &'a Json, what: &str, form: &str) -> Result<(f64, &'a str), Wrong> {
        match self.literal(json)? {
            Json::Text(text) => {
                let (value, unit) = quantity(text).ok_or_else(|| wrong(json, what, form))?;
                self.old_style(text);
                Ok((value, unit))
            }
            here @ Json::Object(_) => {
                let value = self.part(here, "value", Self::number)?;
                let unit = self.part(here, "unit", |r, j| match r.literal(j)? {
                    Json::Text(unit) => Ok(&**unit),
                    other => Err(wrong(other, "a unit", "a text")),
                })?;
                Ok((value, unit))
            }
            Json::Number(value) if *value == 0.0 => {
                self.old_style("0");
                Ok((0.0, ""))
            }
            other => Err(wrong(other, what, form)),
        }
    }

    fn dimension(&mut self, json: &'a Json) -> Result<Dimension, Wrong> {
        let (value, unit) = self.measure(json, "a dimension", "{ \"value\": 16, \"unit\": \"px\" }")?;
        if unit.is_empty() && value == 0.0 {
            return Ok(Dimension { value, unit: Unit::Px });
        }
        let Some(parsed) = Unit::parse(unit) else {
            return Err(Wrong::new("token-unit", format!("`{unit}` is no unit of a dimension."))
                .help("use px or rem"));
        };
        if matches!(parsed, Unit::Em | Unit::Dp | Unit::Css(_)) {
            self.work.notes.add("token-unit", self.def, || format!("`{unit}`"));
        }
        Ok(Dimension { value, unit: parsed })
    }

    fn duration(&mut self, json: &'a Json) -> Result<f64, Wrong> {
        let (value, unit) = self.measure(json, "a duration", "{ \"value\": 200, \"unit\": \"ms\" }")?;
        match unit {
            "ms" => Ok(value),
            "s" => Ok(value * 1000.0),
            "" if value == 0.0 => Ok(0.0),
            _ => {
                Err(Wrong::new("token-unit", format!("`{unit}` is no unit of a duration."))
                    .help("use ms or s"))
            }
        }
    }

    fn family(&mut self, json: &'a Json) -> Result<Vec<Box<str>>, Wrong> {
        const FORM: &str = "\"Inter\" or [\"Inter\", \"sans-serif\"]";
        match self.literal(json)? {
            Json::Text(text) => {
                self.work.spend(16 + text.len())?;
                Ok(vec![(**text).into()])
            }
            list @ Json::List(items) if !items.is_empty() => {
                let mut families = Vec::new();
                self.entered(json, list, |r| {
                    for (at, item) in items.iter().enumerate() {
                        families.append(&mut r.family(item).map_err(|w| w.inside(&at.to_string()))?);
                    }
                    Ok(())
                })?;
                Ok(families)
            }
            other => Err(wrong(other, "a font family", FORM)),
        }
    }

    fn weight(&mut self, json: &'a Json) -> Result<f64, Wrong> {
        const FORM: &str = "a number from 1 to 1000, or a word such as \"bold\"";
        match self.literal(json)? {
            Json::Number(n) if (1.0..=1000.0).contains(n) => Ok(*n),
            here @ Json::Text(text) => {
                let word = text.to_ascii_lowercase().replace(' ', "-");
                if let Some((_, weight)) = KEYWORDS.iter().find(|(k, _)| *k == word) {
                    return Ok(*weight);
                }
                match word.parse::<f64>() {
                    Ok(n) if (1.0..=1000.0).contains(&n) => {
                        self.old_style(text);
                        Ok(n)
                    }
                    _ => Err(wrong(here, "a font weight", FORM)),
                }
            }
            other => Err(wrong(other, "a font weight", FORM)),
        }
    }

    fn bezier(&mut self, json: &'a Json) -> Result<[f64; 4], Wrong> {
        const FORM: &str = "[0.2, 0, 0, 1]";
        let Json::List(items) = self.literal(json)? else {
            return Err(wrong(json, "a timing function", FORM));
        };
        let [a, b, c, d] = &items[..] else { return Err(wrong(json, "a timing function", FORM)) };
        let bezier = [self.number(a)?, self.number(b)?, self.number(c)?, self.number(d)?];
        if [bezier[0], bezier[2]].iter().any(|x| !(0.0..=1.0).contains(x)) {
            return Err(Wrong::new(
                "token-value",
                "The first and third number of a timing function lie between 0 and 1.",
            )
            .help("they are times"));
        }
        Ok(bezier)
    }

    fn line_height(&mut self, json: &'a Json, size: Dimension) -> Result<f64, Wrong> {
        match self.literal(json)? {
            Json::Number(n) => Ok(*n),
            Json::Text(text) if text.trim().parse::<f64>().is_ok() => self.number(json),
            _ => {
                // Older sets give a length; as a factor of the font size it means the same.
                let height = self.dimension(json)?;
                if matches!(self.literal(json)?, Json::Object(_)) {
                    self.old_style("a lineHeight with a unit");
                }
                match (height.px(), size.px()) {
                    (Some(height), Some(size)) if size > 0.0 => Ok(height / size),
                    _ => Err(Wrong::new("token-value", "A line height is a number: times the font size.")
                        .help("write 1.5")),
                }
            }
        }
    }

    fn stroke(&mut self, json: &'a Json) -> Result<StrokeStyle, Wrong> {
        const FORM: &str = "\"solid\", \"dashed\", … or { \"dashArray\", \"lineCap\" }";
        match self.literal(json)? {
            here @ Json::Text(text) => STROKES
                .iter()
                .find(|s| ***s == **text)
                .map(|s| StrokeStyle::Named(s))
                .ok_or_else(|| wrong(here, "a stroke style", FORM)),
            here @ Json::Object(_) => {
                let dashes = self.part(here, "dashArray", |r, j| match r.literal(j)? {
                    Json::List(items) if !items.is_empty() => {
                        r.work.spend(items.len() * size_of::<Dimension>())?;
                        items.iter().map(|i| r.dimension(i)).collect()
                    }
                    other => Err(wrong(other, "a dash array", "a list of dimensions")),
                })?;
                let cap = self.part(here, "lineCap", |r, j| match r.literal(j)?.text() {
                    Some("round") => Ok("round"),
                    Some("butt") => Ok("butt"),
                    Some("square") => Ok("square"),
                    _ => Err(wrong(j, "a line cap", "\"round\", \"butt\" or \"square\"")),
                })?;
                Ok(StrokeStyle::Dashes(dashes, cap))
            }
            other => Err(wrong(other, "a stroke style", FORM)),
        }
    }

    fn shadows(&mut self, json: &'a Json) -> Result<Vec<Shadow>, Wrong> {
        const FORM: &str = "{ \"color\", \"offsetX\", \"offsetY\", \"blur\", \"spread\" } or a list of these";
        match self.literal(json)? {
            list @ Json::List(items) if !items.is_empty() => {
                let mut all = Vec::new();
                self.entered(json, list, |r| {
                    for (at, item) in items.iter().enumerate() {
                        all.append(&mut r.shadows(item).map_err(|w| w.inside(&at.to_string()))?);
                    }
                    Ok(())
                })?;
                Ok(all)
            }
            here @ Json::Object(_) => {
                self.work.spend(size_of::<Shadow>())?;
                Ok(vec![Shadow {
                    color: self.part(here, "color", Self::color)?,
                    x: self.part(here, "offsetX", Self::dimension)?,
                    y: self.part(here, "offsetY", Self::dimension)?,
                    blur: self.part(here, "blur", Self::dimension)?,
                    spread: self
                        .optional(here, "spread", Self::dimension)?
                        .unwrap_or(Dimension { value: 0.0, unit: Unit::Px }),
                    inset: matches!(here.get("inset"), Some(Json::Bool(true))),
                    rest: self.rest(here, &["color", "offsetX", "offsetY", "blur", "spread", "inset"])?,
                }])
            }
            other => Err(wrong(other, "a shadow", FORM)),
        }
    }

    fn stops(&mut self, json: &'a Json) -> Result<Vec<Stop>, Wrong> {
        const FORM: &str = "a list of { \"color\", \"position\" }";
        let list = self.literal(json)?;
        let Json::List(items) = list else { return Err(wrong(json, "a gradient", FORM)) };
        let mut stops = Vec::new();
        self.entered(json, list, |r| {
            for (at, item) in items.iter().enumerate() {
                let inside = |w: Wrong| w.inside(&at.to_string());
                match r.literal(item).map_err(inside)? {
                    // A reference inside a gradient may be a gradient itself.
                    Json::List(_) => stops.append(&mut r.stops(item).map_err(inside)?),
                    here @ Json::Object(_) => {
                        r.work.spend(size_of::<Stop>())?;
                        stops.push(Stop {
                            color: r.part(here, "color", Self::color).map_err(inside)?,
                            position: r.part(here, "position", Self::number).map_err(inside)?.clamp(0.0, 1.0),
                            rest: r.rest(here, &["color", "position"]).map_err(inside)?,
                        });
                    }
                    other => return Err(inside(wrong(other, "a colour of a gradient", FORM))),
                }
            }
            Ok(())
        })?;
        Ok(stops)
    }

    /// Reads a list whose items may refer to lists of the same kind, this one among them.
    fn entered(
        &mut self,
        from: &'a Json,
        list: &'a Json,
        read: impl FnOnce(&mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        // The value of a token itself is entered already.
        let outermost = std::ptr::eq(list, &self.def.value) && std::ptr::eq(from, list);
        if outermost {
            return read(self);
        }
        self.work.open(list, from)?;
        let done = read(self);
        self.work.close();
        done
    }
}

/// `#1a2b3c` or `#abc` as bytes.
fn sixteen(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?;
    let digits: Vec<u8> = digits.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    match digits[..] {
        [r, g, b] | [r, g, b, _] => Some([r * 17, g * 17, b * 17]),
        [a, b, c, d, e, f] | [a, b, c, d, e, f, _, _] => Some([a * 16 + b, c * 16 + d, e * 16 + f]),
        _ => None,
    }
}

fn wrong(json: &Json, what: &str, form: &str) -> Wrong {
    let shown = match json {
        Json::Text(text) => format!("`{}`", text.chars().take(60).collect::<String>()),
        Json::Number(number) => format!("`{number}`"),
        other => other.kind().to_owned(),
    };
    Wrong::new("token-value", format!("{shown} is not {what}.")).help(format!("write {form}"))
}
