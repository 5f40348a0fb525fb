//! Reads an offer file as a stream: what is not wanted is skipped, and never held.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The wanted part of an offer file.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// `AWSLambda`, `AmazonEC2` …
    pub code: String,
    /// When it was published.
    pub published: String,
    /// Wanted products by SKU.
    pub products: BTreeMap<String, Product>,
    /// Their prices on demand.
    pub ranges: BTreeMap<String, Vec<Range>>,
}

/// What a product says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Product {
    pub product_family: String,
    pub attributes: Attributes,
}

/// The attributes that lines are told by.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attributes {
    pub region_code: String,
    pub location: String,
    #[serde(rename = "usagetype")]
    pub usage_type: String,
    pub group: String,
    pub queue_type: String,
    pub instance_type: String,
    pub operating_system: String,
    pub tenancy: String,
    pub pre_installed_sw: String,
    #[serde(rename = "capacitystatus")]
    pub capacity_status: String,
    pub vcpu: String,
    pub memory: String,
}

impl Product {
    /// Its vCPUs, where it has a number of them.
    pub(super) fn vcpu(&self) -> Option<f64> {
        self.attributes.vcpu.parse().ok()
    }

    /// Its memory, which is written `8 GiB`.
    pub(super) fn memory_gib(&self) -> Option<f64> {
        self.attributes.memory.strip_suffix(" GiB")?.replace(',', "").parse().ok()
    }
}

/// A price from one quantity of a month to another.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub begin: f64,
    /// `None` for the last, which has no end.
    pub end: Option<f64>,
    pub usd: f64,
}

#[derive(Deserialize)]
struct Term {
    #[serde(rename = "priceDimensions")]
    dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    #[serde(default)]
    begin_range: Option<String>,
    #[serde(default)]
    end_range: Option<String>,
    price_per_unit: PerUnit,
}

#[derive(Deserialize)]
struct PerUnit {
    #[serde(rename = "USD")]
    usd: Option<String>,
}

/// Reads an offer file; `wants` picks its products. Products stand before terms in every offer file.
pub(super) fn offer(from: impl Read, wants: &dyn Fn(&Product) -> bool) -> Result<Offer, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_reader(from);
    let offer = deserializer.deserialize_map(Whole { wants })?;
    deserializer.end()?;
    Ok(offer)
}

struct Whole<'a> {
    wants: &'a dyn Fn(&Product) -> bool,
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Offer;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object with offerCode, products and terms")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Offer, A::Error> {
        let mut offer = Offer::default();
        let mut products = false;
        let mut terms = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "offerCode" => offer.code = map.next_value()?,
                "publicationDate" => offer.published = map.next_value()?,
                "products" => {
                    products = true;
                    let keep = |_: &str, product: &Product| (self.wants)(product);
                    offer.products = map.next_value_seed(Picked { keep, of: PhantomData })?;
                }
                "terms" if !products => return Err(A::Error::custom("terms stand before products")),
                "terms" => {
                    terms = true;
                    offer.ranges = map.next_value_seed(OnDemand { products: &offer.products })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if offer.code.is_empty() || !products || !terms {
            return Err(A::Error::custom("offerCode, products or terms are missing"));
        }
        Ok(offer)
    }
}

/// A map of which the values that `keep` takes are held, one after the other.
struct Picked<T, K> {
    keep: K,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, K: Fn(&str, &T) -> bool> DeserializeSeed<'de> for Picked<T, K> {
    type Value = BTreeMap<String, T>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>, K: Fn(&str, &T) -> bool> Visitor<'de> for Picked<T, K> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("products by their SKU")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut picked = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, T>()? {
            if (self.keep)(&key, &value) {
                picked.insert(key, value);
            }
        }
        Ok(picked)
    }
}

/// The terms on demand of wanted products.
struct OnDemand<'a> {
    products: &'a BTreeMap<String, Product>,
}

impl<'de> DeserializeSeed<'de> for OnDemand<'_> {
    type Value = BTreeMap<String, Vec<Range>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OnDemand<'_> {
    type Value = BTreeMap<String, Vec<Range>>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("terms by their kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut ranges = BTreeMap::new();
        while let Some(kind) = map.next_key::<String>()? {
            if kind == "OnDemand" {
                ranges = map.next_value_seed(BySku { products: self.products })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(ranges)
    }
}

struct BySku<'a> {
    products: &'a BTreeMap<String, Product>,
}

impl<'de> DeserializeSeed<'de> for BySku<'_> {
    type Value = BTreeMap<String, Vec<Range>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BySku<'_> {
    type Value = BTreeMap<String, Vec<Range>>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("terms by SKU")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some(sku) = map.next_key::<String>()? {
            if !self.products.contains_key(&sku) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let terms: BTreeMap<String, Term> = map.next_value()?;
            let dimensions = terms.values().flat_map(|term| term.dimensions.values());
            let ranges = dimensions.map(|dimension| range(dimension).ok_or_else(|| A::Error::custom(no_price(&sku))));
            found.insert(sku.clone(), ranges.collect::<Result<_, _>>()?);
        }
        Ok(found)
    }
}

fn no_price(sku: &str) -> String {
    format!("SKU {sku} has a price that is no number of USD")
}

fn range(dimension: &Dimension) -> Option<Range> {
    let begin = dimension.begin_range.as_deref().map_or(Ok(0.0), str::parse).ok()?;
    let end = match dimension.end_range.as_deref() {
        None | Some("Inf") => None,
        Some(number) => Some(number.parse().ok()?),
    };
    Some(Range { begin, end, usd: dimension.price_per_unit.usd.as_deref()?.parse().ok()? })
}
