//! `twinscale prices` as a user meets it.

use crate::cli::{text, twinscale};

#[test]
fn prices_of_a_region_are_printed_as_a_price_file_and_what_is_missing_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let offers = folder.path().display().to_string();
    let empty = twinscale(&["prices", "--from", &offers, "--region", "eu-west-1"]);
    assert_eq!(empty.status.code(), Some(64));
    assert!(text(&empty.stderr).contains("there is no .json file in it"), "{}", text(&empty.stderr));
    let offer = r#"{"formatVersion":"v1.0","offerCode":"AmazonEKS","publicationDate":"2026-09-18T10:00:00Z","products":{
        "E1":{"sku":"E1","productFamily":"Compute","attributes":{"regionCode":"eu-west-1",
            "usagetype":"EU-AmazonEKS-Hours:perCluster"}}},
        "terms":{"OnDemand":{"E1":{"E1.T":{"priceDimensions":{"E1.T.D":{"beginRange":"0","endRange":"Inf","unit":"hours",
            "pricePerUnit":{"USD":"0.1250000000"}}}}}}}}"#;
    std::fs::write(folder.path().join("eks.json"), offer).expect("written");
    let output = twinscale(&["prices", "--from", &offers, "--region", "eu-west-1"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("lambda_arm: not found for eu-west-1") && !errors.contains("eks_control_plane:"),
        "{errors}"
    );
    let file = folder.path().join("eu-west-1.toml");
    std::fs::write(&file, &output.stdout).expect("written");
    let prices = twinscale_lab::cost::prices::read(Some(&file)).expect("a price file");
    assert_eq!((prices.region.as_str(), prices.eks_control_plane.tiers[0].usd), ("eu-west-1", 0.125));
}
