//! The regions of Genesys Cloud and their domains (SDK 269.0.0, `purecloud_region_hosts.py`).

use std::{fmt, str::FromStr};

macro_rules! regions {
    ($($variant:ident = $name:literal at $domain:literal),+ $(,)?) => {
        /// Where the organisation lives, or the embedded sandbox.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Region {
            /// The embedded stand-in.
            Sandbox,
            $(
                #[doc = concat!("`", $domain, "`")]
                $variant,
            )+
        }

        impl Region {
            /// All regions, the sandbox first.
            pub const ALL: &'static [Self] = &[Self::Sandbox, $(Self::$variant),+];

            /// The region as it is configured.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Sandbox => "sandbox",
                    $(Self::$variant => $name,)+
                }
            }

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

/// The text names no region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such region")]
pub struct NoSuchRegion;

impl FromStr for Region {
    type Err = NoSuchRegion;

    fn from_str(text: &str) -> Result<Self, NoSuchRegion> {
        Self::ALL.iter().copied().find(|region| region.name() == text).ok_or(NoSuchRegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
