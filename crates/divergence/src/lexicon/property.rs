//! What a CSS property takes, and what a token's name says it is for.

/// The kinds of value that a property takes, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takes(u16);

impl Takes {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const COLOR: Self = Self(1);
    pub(crate) const LENGTH: Self = Self(1 << 1);
    pub(crate) const TIME: Self = Self(1 << 2);
    pub(crate) const EASING: Self = Self(1 << 3);
    pub(crate) const WEIGHT: Self = Self(1 << 4);
    pub(crate) const FAMILY: Self = Self(1 << 5);
    pub(crate) const NUMBER: Self = Self(1 << 6);
    pub(crate) const SHADOW: Self = Self(1 << 7);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What a quantity measures. A font size is no padding, even when both are `16px`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Domain {
    /// Not said: fits everywhere but where one must be asked for by name.
    Any,
    Space,
    Size,
    Radius,
    Line,
    FontSize,
    LineHeight,
    LetterSpacing,
    Opacity,
    Layer,
    Weight,
    /// Breakpoints, blurs and the like: fits nowhere that is scanned.
    Elsewhere,
}

impl Domain {
    /// What a token of a quantity is for, by the words of its name.
    pub(crate) fn of_name(name: &str) -> Self {
        let mut lower = name.to_ascii_lowercase();
        lower.retain(|c| c != '-' && c != '_');
        let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
        let word = |words: &[&str]| name.split(['-', '_']).any(|w| words.contains(&w));
        if has(&["lineheight", "leading"]) {
            Self::LineHeight
        } else if has(&["letterspacing", "tracking"]) {
            Self::LetterSpacing
        } else if has(&["fontweight"]) || word(&["weight"]) {
            Self::Weight
        } else if has(&["radius", "radii", "rounded", "corner"]) {
            Self::Radius
        } else if has(&["fontsize", "typography", "textsize"]) || word(&["font", "text", "type"]) {
            Self::FontSize
        } else if has(&["breakpoint", "viewport", "shadow", "blur", "elevation"])
            || word(&["screen", "container"])
        {
            Self::Elsewhere
        } else if has(&["opacity"]) || word(&["alpha"]) {
            Self::Opacity
        } else if has(&["zindex"]) || word(&["z", "layer"]) {
            Self::Layer
        } else if word(&["border", "stroke", "outline", "ring", "divider"]) {
            Self::Line
        } else if has(&["space", "spacing", "gap", "padding", "margin", "inset", "gutter"]) {
            Self::Space
        } else if word(&["width", "height"]) {
            Self::Size
        } else {
            Self::Any
        }
    }

    /// Whether a token of this domain can stand in a property of that one.
    pub(crate) fn fits(self, property: Self) -> bool {
        match (self, property) {
            (Self::Any, Self::Opacity | Self::Layer) => false,
            (Self::Any, _) | (Self::Space, Self::Size) => true,
            (own, property) => own == property,
        }
    }
}

/// What a colour is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Any,
    Text,
    Ground,
    Line,
    Fill,
    Shadow,
}

impl Role {
    /// What a colour token is for, by the first word of its name that says so.
    pub(crate) fn of_name(name: &str) -> Self {
        let role = |word: &str| match word.to_ascii_lowercase().as_str() {
            "text" | "foreground" | "fg" | "on" | "content" | "ink" | "label" | "link" => Some(Self::Text),
            "background" | "bg" | "surface" | "canvas" | "backdrop" => Some(Self::Ground),
            "border" | "outline" | "stroke" | "divider" | "ring" | "separator" => Some(Self::Line),
            "fill" | "icon" => Some(Self::Fill),
            "shadow" | "elevation" => Some(Self::Shadow),
            _ => None,
        };
        name.split(['-', '_']).find_map(role).unwrap_or(Self::Any)
    }
}

/// What a property takes, and what its values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) takes: Takes,
    pub(crate) domain: Domain,
    pub(crate) role: Role,
    /// Quantities are reported, and the declaration counted, only where a token fits exactly: most widths are no
    /// business of the system.
    pub(crate) exact_only: bool,
}

impl Spec {
    /// A property in which a token can only stand by itself.
    pub(crate) const NONE: Self = color(Role::Any).taking(Takes::NONE);
    /// What a variable takes, by the words of its name: `--card-padding` is a length for spaces. One whose name says nothing
    /// takes colours, and lengths that are exactly a token's.
    pub(crate) fn of_variable(name: &str, value: &str) -> Self {
        let mut lower = name.to_ascii_lowercase();
        lower.retain(|c| c != '-' && c != '_');
        let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
        if has(&["shadow", "elevation"]) {
            return color(Role::Shadow).taking(Takes::COLOR.and(Takes::SHADOW));
        }
        if has(&["easing", "timingfunction", "bezier"]) {
            return color(Role::Any).taking(Takes::EASING);
        }
        if has(&["duration", "delay"]) {
            return color(Role::Any).taking(Takes::TIME);
        }
        if has(&["transition", "animation"]) {
            return color(Role::Any).taking(Takes::TIME.and(Takes::EASING));
        }
        if has(&["fontfamily", "typeface"]) || has(&["font"]) && value.starts_with(['"', '\'']) {
            return color(Role::Any).taking(Takes::FAMILY);
        }
        let role = Role::of_name(name);
        let domain = Domain::of_name(name);
        let quantity = |takes: Takes| Self { role, ..length(domain).taking(takes.and(Takes::COLOR)) };
        match domain {
            Domain::Elsewhere => color(role),
            Domain::Any => quantity(Takes::LENGTH).exact(),
            Domain::Size | Domain::Line => quantity(Takes::LENGTH).exact(),
            Domain::LineHeight => length(domain).taking(Takes::LENGTH.and(Takes::NUMBER)),
            Domain::Opacity | Domain::Layer => length(domain).taking(Takes::NUMBER),
            Domain::Weight => length(domain).taking(Takes::WEIGHT),
            Domain::Space | Domain::Radius | Domain::FontSize | Domain::LetterSpacing => {
                quantity(Takes::LENGTH)
            }
        }
    }

    const fn taking(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    const fn exact(self) -> Self {
        Self { exact_only: true, ..self }
    }

    /// What the property of a lower-case name takes; `None` when tokens cannot stand in it.
    pub(crate) fn of(property: &str) -> Option<Self> {
        let name = match property.strip_prefix('-') {
            Some(vendor) => vendor.split_once('-')?.1,
            None => property,
        };
        Some(match name {
            "color" | "caret-color" | "text-fill-color" => color(Role::Text),
            "text-decoration" | "text-decoration-color" | "text-emphasis" | "text-emphasis-color" => {
                color(Role::Text)
            }
            "background" | "background-color" | "background-image" => color(Role::Ground),
            "fill" => color(Role::Fill),
            "stroke" => color(Role::Line),
            "accent-color" | "scrollbar-color" | "stop-color" | "flood-color" | "lighting-color" => {
                color(Role::Any)
            }
            "tap-highlight-color" | "filter" | "backdrop-filter" => color(Role::Any),
            "text-stroke" | "text-stroke-color" | "outline-color" | "column-rule-color" => color(Role::Line),
            "outline" | "column-rule" => color(Role::Line).taking(Takes::COLOR.and(Takes::LENGTH)).of_lines(),
            "outline-width" | "column-rule-width" => length(Domain::Line).exact(),
            "box-shadow" => color(Role::Shadow).taking(Takes::COLOR.and(Takes::SHADOW)),
            "text-shadow" => color(Role::Shadow),
            "gap" | "row-gap" | "column-gap" | "grid-gap" | "grid-row-gap" | "grid-column-gap" => {
                length(Domain::Space)
            }
            "top" | "right" | "bottom" | "left" | "inset" | "border-spacing" => length(Domain::Space),
            "width" | "height" | "min-width" | "min-height" | "max-width" | "max-height" | "inline-size"
            | "block-size" | "min-inline-size" | "min-block-size" | "max-inline-size" | "max-block-size"
            | "flex-basis" => length(Domain::Size).exact(),
            "font-size" => length(Domain::FontSize),
            "letter-spacing" => length(Domain::LetterSpacing),
            "line-height" => length(Domain::LineHeight).taking(Takes::LENGTH.and(Takes::NUMBER)),
            "font" => length(Domain::FontSize).taking(Takes::LENGTH.and(Takes::WEIGHT)),
            "font-weight" => length(Domain::Weight).taking(Takes::WEIGHT),
            "font-family" => color(Role::Any).taking(Takes::FAMILY),
            "opacity" => length(Domain::Opacity).taking(Takes::NUMBER),
            "z-index" => length(Domain::Layer).taking(Takes::NUMBER),
            "transition-duration" | "transition-delay" | "animation-duration" | "animation-delay" => {
                color(Role::Any).taking(Takes::TIME)
            }
            "transition-timing-function" | "animation-timing-function" => {
                color(Role::Any).taking(Takes::EASING)
            }
            "transition" | "animation" => color(Role::Any).taking(Takes::TIME.and(Takes::EASING)),
            _ => return Self::of_family(name),
        })
    }

    /// Properties that come once per side or corner.
    fn of_family(name: &str) -> Option<Self> {
        let (family, rest) = name.split_once('-').unwrap_or((name, ""));
        match family {
            "margin" | "padding" if rest != "trim" => Some(length(Domain::Space)),
            "inset" => Some(length(Domain::Space)),
            "scroll" if rest.starts_with("margin") || rest.starts_with("padding") => {
                Some(length(Domain::Space))
            }
            "border" if rest.ends_with("radius") => Some(length(Domain::Radius)),
            "border" if rest.ends_with("width") => Some(length(Domain::Line).exact()),
            "border" if rest.ends_with("color") => Some(color(Role::Line)),
            "border" if rest.ends_with("style") || rest.starts_with("image") || rest == "collapse" => None,
            "border" => Some(color(Role::Line).taking(Takes::COLOR.and(Takes::LENGTH)).of_lines()),
            _ => None,
        }
    }

    const fn of_lines(self) -> Self {
        Self { domain: Domain::Line, ..self }
    }
}

pub(crate) const fn color(role: Role) -> Spec {
    Spec { takes: Takes::COLOR, domain: Domain::Any, role, exact_only: false }
}

pub(crate) const fn length(domain: Domain) -> Spec {
    Spec { takes: Takes::LENGTH, domain, role: Role::Any, exact_only: false }
}

/// Whether a number is taken as it is where React would add `px` to others. The name is in CSS's own spelling.
pub(crate) fn is_unitless(property: &str) -> bool {
    matches!(
        property,
        "line-height"
            | "opacity"
            | "z-index"
            | "font-weight"
            | "flex"
            | "flex-grow"
            | "flex-shrink"
            | "order"
            | "zoom"
            | "orphans"
            | "widows"
            | "tab-size"
            | "line-clamp"
            | "column-count"
            | "columns"
            | "fill-opacity"
            | "stroke-opacity"
            | "stroke-width"
            | "animation-iteration-count"
            | "aspect-ratio"
            | "scale"
    ) || property.starts_with("grid-row")
        || property.starts_with("grid-column")
        || property.starts_with("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_properties_take() {
        let takes = |p| Spec::of(p).map(|s| s.takes);
        assert_eq!(takes("border-top-color"), Some(Takes::COLOR));
        assert_eq!(takes("border-start-start-radius"), Some(Takes::LENGTH));
        assert_eq!(takes("-webkit-text-fill-color"), Some(Takes::COLOR));
        assert_eq!(takes("border"), Some(Takes::COLOR.and(Takes::LENGTH)));
        for none in ["border-style", "display", "-", "--x", "", "background-size", "margin-trim"] {
            assert_eq!(takes(none), None, "{none}");
        }
    }

    #[test]
    fn what_names_say() {
        assert_eq!(Domain::of_name("semantic-font-size-md"), Domain::FontSize);
        assert_eq!(Domain::of_name("semantic-font-line-height-md"), Domain::LineHeight);
        assert_eq!(Domain::of_name("semantic-border-radius-md"), Domain::Radius);
        assert_eq!(Domain::of_name("size-400"), Domain::Any);
        assert_eq!(Role::of_name("semantic-color-text-on-surface"), Role::Text);
        assert_eq!(Role::of_name("base-gray-900"), Role::Any);
    }
}
