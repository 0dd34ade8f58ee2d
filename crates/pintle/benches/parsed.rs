//! What merely parsing a record of Defender's streaming export gives: about the least that a decoder could do
//! which keeps no columns, and what the speed of reading is compared to.

use std::borrow::Cow;

use serde::Deserialize;

/// What the base needs of a streaming record, borrowed from it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only there to be parsed into")]
pub struct Envelope<'a> {
    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    properties: Properties<'a>,
}

/// A text, borrowed unless it has escapes.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only there to be parsed into")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Properties<'a> {
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    device_id: Option<Text<'a>>,
    device_name: Option<Text<'a>>,
    machine_group: Option<Text<'a>>,
    file_name: Option<Text<'a>>,
    folder_path: Option<Text<'a>>,
    #[serde(rename = "SHA1")]
    sha1: Option<Text<'a>>,
    #[serde(rename = "SHA256")]
    sha256: Option<Text<'a>>,
    #[serde(rename = "MD5")]
    md5: Option<Text<'a>>,
    file_size: Option<i64>,
    process_version_info_company_name: Option<Text<'a>>,
    process_version_info_product_name: Option<Text<'a>>,
    initiating_process_file_name: Option<Text<'a>>,
    initiating_process_folder_path: Option<Text<'a>>,
    #[serde(rename = "InitiatingProcessSHA1")]
    initiating_process_sha1: Option<Text<'a>>,
    #[serde(rename = "InitiatingProcessSHA256")]
    initiating_process_sha256: Option<Text<'a>>,
    #[serde(rename = "InitiatingProcessMD5")]
    initiating_process_md5: Option<Text<'a>>,
    initiating_process_file_size: Option<i64>,
    initiating_process_version_info_company_name: Option<Text<'a>>,
    initiating_process_version_info_product_name: Option<Text<'a>>,
}
