//! What makes a drawing a document that can be read aloud.

use super::palette::style_sheet;

/// Puts title, description and style into a drawing.
pub(super) fn page(drawing: &str, title: &str, description: &str) -> String {
    let Some((head, rest)) = drawing.split_once('>') else { return drawing.to_owned() };
    format!(
        "{head} role=\"img\" aria-labelledby=\"glidepath-title glidepath-description\">\n\
         <title id=\"glidepath-title\">{}</title>\n\
         <desc id=\"glidepath-description\">{}</desc>\n\
         <style>\n{}</style>{rest}",
        escaped(title),
        escaped(description),
        style_sheet()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Without the characters that XML cannot hold.
pub(super) fn printable(text: &str) -> String {
    let holds =
        |character: char| !character.is_control() && !matches!(character, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|character| if holds(character) { character } else { ' ' }).collect()
}

/// How wide a text is, about: the reader's own font is not known.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|character| match character {
            'i' | 'l' | 'j' | 't' | 'f' | '.' | ',' | ':' | ';' | ' ' | '(' | ')' => 0.34,
            'm' | 'w' | 'M' | 'W' | '%' => 0.88,
            '\0'..='\u{2FF}' => 0.58,
            _ => 1.0,
        })
        .sum();
    em * size
}

/// Breaks between words, so that no line is wider, but for single words.
pub(super) fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(word, size) + width(" ", size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The beginning of a text that has room.
pub(super) fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if width(&kept, size) + size > room {
            break;
        }
    }
    kept.push('…');
    kept
}
