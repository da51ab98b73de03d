//! Examples at the end of `--help`.

pub(super) const ALL: &str = "\
Examples:
  inkbox-imessage serve --demo                          # on this machine, with a private PostgreSQL
  inkbox-imessage org create org_acme                   # prints the first admin key
  inkbox-imessage key create --scope router             # prints a key for the software that receives texts
  inkbox-imessage line add +12025550100 --role router
  inkbox-imessage verify";

pub(super) const ORG: &str = "\
Examples:
  inkbox-imessage org create org_acme > admin.key
  inkbox-imessage org list --output json";

pub(super) const KEY: &str = "\
Examples:
  inkbox-imessage key create --scope admin --org org_acme --label ops --expires 90d > admin.key
  inkbox-imessage key list --org org_acme
  inkbox-imessage key rotate 0199a0b2-0000-7000-8000-000000000001 --revoke > admin.key";

pub(super) const IDENTITY: &str = "\
Examples:
  inkbox-imessage identity create @salesbot --org org_acme --name \"Sales Bot\"
  inkbox-imessage identity list --org org_acme --output json";

pub(super) const RULE: &str = "\
Examples:
  inkbox-imessage rule create block +15551234567 --org org_acme --identity 0199a0b2-0000-7000-8000-000000000001
  inkbox-imessage rule list --org org_acme";

pub(super) const LINE: &str = "\
Examples:
  inkbox-imessage line add +12025550101 --role pool --carrier sendblue
  inkbox-imessage line list --output json
  inkbox-imessage line pause +12025550101               # before its removal";

pub(super) const AUDIT: &str = "\
Examples:
  inkbox-imessage audit list --org org_acme --since 7d
  inkbox-imessage audit list --global --output json";
