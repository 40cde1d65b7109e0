//! The regions of Genesys Cloud and their domains (SDK 269.0.0, `purecloud_region_hosts.py`).

use super::values::words;

macro_rules! regions {
    ($($variant:ident = $name:literal at $domain:literal),+ $(,)?) => {
        words! {
            /// Where the organisation lives, or the embedded sandbox.
            pub enum Region {
                /// The embedded stand-in.
                Sandbox = "sandbox",
                $(
                    #[doc = concat!("`", $domain, "`")]
                    $variant = $name,
                )+
            }
        }

        impl Region {
            /// Its domain: the API is at `https://api.{domain}`, the login at
            /// `https://login.{domain}`. The sandbox has none.
            #[must_use]
            pub const fn domain(self) -> Option<&'static str> {
                match self {
                    Self::Sandbox => None,
                    $(Self::$variant => Some($domain),)+
                }
            }
        }
    };
}

regions! {
    UsEast1 = "us-east-1" at "mypurecloud.com",
    UsEast2 = "us-east-2" at "use2.us-gov-pure.cloud",
    UsWest2 = "us-west-2" at "usw2.pure.cloud",
    CaCentral1 = "ca-central-1" at "cac1.pure.cloud",
    SaEast1 = "sa-east-1" at "sae1.pure.cloud",
    MxCentral1 = "mx-central-1" at "mxc1.pure.cloud",
    EuWest1 = "eu-west-1" at "mypurecloud.ie",
    EuWest2 = "eu-west-2" at "euw2.pure.cloud",
    EuCentral1 = "eu-central-1" at "mypurecloud.de",
    EuCentral2 = "eu-central-2" at "euc2.pure.cloud",
    EuscDeEast1 = "eusc-de-east-1" at "edee1.eusc-pure.cloud",
    ApNortheast1 = "ap-northeast-1" at "mypurecloud.jp",
    ApNortheast2 = "ap-northeast-2" at "apne2.pure.cloud",
    ApNortheast3 = "ap-northeast-3" at "apne3.pure.cloud",
    ApSouth1 = "ap-south-1" at "aps1.pure.cloud",
    ApSoutheast1 = "ap-southeast-1" at "apse1.pure.cloud",
    ApSoutheast2 = "ap-southeast-2" at "mypurecloud.com.au",
    MeCentral1 = "me-central-1" at "mec1.pure.cloud",
}
