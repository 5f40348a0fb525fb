//! A price file for another region, from the offer files of AWS's Price List that a user has downloaded. They are streamed:
//! AmazonEC2's is gigabytes, and a handful of its products is wanted.

mod read;
mod wanted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cost::{Instance, Price, Prices, Tier};
use read::{Offer, Product, Range};
use wanted::{PriceLine, Sought, sought};

/// What offer files came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Priced {
    /// The price file. What was not found has the price of the file that it began with, and a doubt that says so.
    pub prices: Prices,
    /// Lines and instances that no offer file has.
    pub missing: Vec<String>,
    /// Offer files that were read, with their dates.
    pub read: Vec<String>,
}

/// Why offer files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OffersError {
    /// The folder or a file is not readable.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A JSON file is no offer file.
    #[error("{}: it is no offer file of AWS's Price List ({error}): download it as docs/decide.md says", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where, and what was expected.
        error: serde_json::Error,
    },
    /// There is nothing to read.
    #[error("{}: there is no .json file in it", .0.display())]
    Empty(PathBuf),
    /// Two products are the same line at other prices.
    #[error("{}: {line} has more than one price in {region}: {first} and {second}", .path.display())]
    Ambiguous {
        /// Which file.
        path: PathBuf,
        /// Of the price file.
        line: String,
        /// As asked for.
        region: String,
        /// The SKU that came first.
        first: String,
        /// The other one.
        second: String,
    },
}

/// Reads every `.json` file of `folder`, in the order of their names, for a region. `base` says which lines and instances
/// there are, and has what is the same everywhere: units and free tiers.
///
/// # Errors
/// Files that cannot be read, and prices that contradict each other.
pub fn priced(folder: &Path, region: &str, base: &Prices) -> Result<Priced, OffersError> {
    let unreadable = |path: &Path, error| OffersError::Unreadable { path: path.to_owned(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        files.extend(path.extension().is_some_and(|ext| ext == "json").then_some(path));
    }
    files.sort();
    if files.is_empty() {
        return Err(OffersError::Empty(folder.to_owned()));
    }
    let mut found = Gathered { base, region, lines: BTreeMap::new(), auto_mode: BTreeMap::new(), date: String::new() };
    let mut read = Vec::new();
    for path in files {
        let file = std::fs::File::open(&path).map_err(|error| unreadable(&path, error))?;
        let malformed = |error| OffersError::Malformed { path: path.clone(), error };
        let wants = |product: &Product| sought(product, region, base).is_some();
        let offer = read::offer(std::io::BufReader::with_capacity(1 << 20, file), &wants).map_err(malformed)?;
        read.push(format!("{} of {}", offer.code, offer.published));
        found.take(&path, &offer)?;
    }
    Ok(found.into_priced(read))
}

/// What was found so far.
struct Gathered<'a> {
    base: &'a Prices,
    region: &'a str,
    lines: BTreeMap<Sought, Hit>,
    /// Auto Mode's fee an hour by type of instance.
    auto_mode: BTreeMap<String, f64>,
    date: String,
}

/// The product that is a line.
#[derive(Clone, Debug)]
struct Hit {
    sku: String,
    tiers: Vec<Tier>,
    free: f64,
    source: String,
    vcpu: Option<f64>,
    memory_gib: Option<f64>,
}

impl Gathered<'_> {
    fn take(&mut self, path: &Path, offer: &Offer) -> Result<(), OffersError> {
        for (sku, product) in &offer.products {
            let Some(line) = sought(product, self.region, self.base) else { continue };
            let Some(ranges) = offer.ranges.get(sku).filter(|ranges| !ranges.is_empty()) else { continue };
            let (tiers, free) = tiers(ranges);
            let day = offer.published.get(..10).unwrap_or(&offer.published);
            let hit = Hit {
                sku: sku.clone(),
                tiers,
                free,
                source: format!("AWS Price List, offer file {}, {day}, SKU {sku}", offer.code),
                vcpu: product.vcpu(),
                memory_gib: product.memory_gib(),
            };
            self.date = self.date.as_str().max(day).to_owned();
            if let Sought::AutoMode(instance) = &line {
                self.auto_mode.insert(instance.clone(), hit.tiers.first().map_or(0.0, |tier| tier.usd));
            }
            match self.lines.get(&line) {
                Some(before) if before.tiers != hit.tiers => {
                    return Err(OffersError::Ambiguous {
                        path: path.to_owned(),
                        line: line.to_string(),
                        region: self.region.to_owned(),
                        first: before.sku.clone(),
                        second: sku.clone(),
                    });
                }
                Some(_) => {}
                None => drop(self.lines.insert(line, hit)),
            }
        }
        Ok(())
    }

    fn into_priced(self, read: Vec<String>) -> Priced {
        let mut prices = self.base.clone();
        let mut missing = Vec::new();
        self.region.clone_into(&mut prices.region);
        let base_region = &self.base.region;
        let mut control_plane = prices.eks_control_plane.clone();
        if let Some(hit) = self.lines.get(&Sought::Line(PriceLine::EksControlPlane)) {
            control_plane.tiers.clone_from(&hit.tiers);
        }
        for line in PriceLine::all() {
            let price = line.price(&mut prices);
            match self.lines.get(&Sought::Line(line)) {
                Some(hit) => {
                    *price = Price {
                        unit: price.unit.clone(),
                        free: if hit.free > 0.0 { hit.free } else { price.free },
                        tiers: line.in_our_units(&hit.tiers, &control_plane),
                        source: hit.source.clone(),
                        doubt: None,
                    };
                }
                None => {
                    missing.push(line.to_string());
                    price.doubt = Some(format!("not in the offer files: the price of {base_region}"));
                }
            }
        }
        let mut instances = BTreeMap::new();
        for name in self.base.instances.keys() {
            let hit = self.lines.get(&Sought::Instance(name.clone()));
            let instance = hit.and_then(|hit| {
                let usd_per_hour = hit.tiers.first()?.usd;
                Some(Instance { usd_per_hour, vcpu: hit.vcpu?, memory_gib: hit.memory_gib? })
            });
            match instance {
                Some(instance) => drop(instances.insert(name.clone(), instance)),
                None => missing.push(format!("instances.{name}")),
            }
        }
        self.auto_mode_share(&mut prices, &instances, &mut missing);
        prices.instances = instances;
        prices.instances_source = "AWS Price List, offer file AmazonEC2: Linux, shared, on demand".to_owned();
        if !self.date.is_empty() {
            prices.date = self.date;
        }
        Priced { prices, missing, read }
    }

    /// The price file has Auto Mode's fee as a share of the instance's price; offers have it by type of instance.
    fn auto_mode_share(&self, prices: &mut Prices, instances: &BTreeMap<String, Instance>, missing: &mut Vec<String>) {
        let shares: Vec<f64> = self
            .auto_mode
            .iter()
            .filter_map(|(name, fee)| Some(fee / instances.get(name)?.usd_per_hour))
            .filter(|share| share.is_finite())
            .collect();
        let highest = shares.iter().copied().reduce(f64::max);
        let Some(highest) = highest else {
            missing.push("eks_auto_mode".to_owned());
            let doubt = format!("not in the offer files: the share of {}", self.base.region);
            prices.eks_auto_mode.doubt = Some(doubt);
            return;
        };
        prices.eks_auto_mode.tiers = vec![Tier { up_to: None, usd: (highest * 1e4).round() / 1e4 }];
        prices.eks_auto_mode.source =
            format!("AWS Price List, offer file AmazonEKS: the highest share of {} instances' prices", shares.len());
        prices.eks_auto_mode.doubt = None;
    }
}

/// Tiers in order. A first one that costs nothing is a free tier.
fn tiers(ranges: &[Range]) -> (Vec<Tier>, f64) {
    let mut ranges = ranges.to_vec();
    ranges.sort_by(|a, b| a.begin.total_cmp(&b.begin));
    let free = match &ranges[..] {
        [first, _, ..] if first.usd == 0.0 => first.end.unwrap_or(0.0),
        _ => 0.0,
    };
    let paid = ranges.iter().skip(usize::from(free > 0.0));
    (paid.map(|range| Tier { up_to: range.end, usd: range.usd }).collect(), free)
}

#[cfg(test)]
mod tests;
