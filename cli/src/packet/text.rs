//! A description as text, cut into layers and words.

use super::layer::Layer;

pub fn layers(description: &str) -> Result<Vec<Layer>, String> {
    if description.trim().is_empty() {
        return Err("no packet: write one as `ip src=192.0.2.1 / tcp dport=443 flags=S`".to_owned());
    }
    description.split('/').map(layer).collect()
}

fn layer(text: &str) -> Result<Layer, String> {
    let mut words = text.split_whitespace();
    let name = words.next().ok_or("an empty layer: write its name, or remove one of the slashes")?;
    let mut layer = Layer::new(name);
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => layer.add(key, value)?,
            None if name == "payload" => layer.add_bytes(word),
            None => return Err(format!("{name}: \"{word}\" has no value: write {word}=VALUE")),
        }
    }
    Ok(layer)
}
