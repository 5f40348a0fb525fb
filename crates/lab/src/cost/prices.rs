//! Reads a price file; the one that comes with the program is `prices/us-east-1.toml`.

use std::path::Path;

use crate::cost::Prices;

/// Why there are no prices.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be read.
    #[error("the price file {path} cannot be read: {error}")]
    Unreadable {
        /// As asked for.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no price file; the error gives line and field.
    #[error("the price file {path}: {error}")]
    Malformed {
        /// As asked for.
        path: String,
        /// Where, and what was expected.
        error: Box<toml::de::Error>,
    },
}

/// The prices in `path`, or those that come with the program.
///
/// # Errors
/// The file cannot be read, or is no price file.
pub fn read(path: Option<&Path>) -> Result<Prices, PricesError> {
    let (name, text) = match path {
        None => ("prices/us-east-1.toml".to_owned(), include_str!("../../assets/prices/us-east-1.toml").to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path);
            (name.clone(), text.map_err(|error| PricesError::Unreadable { path: name, error })?)
        }
    };
    toml::from_str(&text).map_err(|error| PricesError::Malformed { path: name, error: Box::new(error) })
}
