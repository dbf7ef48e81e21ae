//! Stable codes of problems, each with what it means; `docs/checks.md` is written from these.

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it matters, or what follows from it.
    pub explanation: &'static str,
    /// What it looks like.
    pub example: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $explanation:literal, $example:literal;)*) => {
        $(
            #[allow(dead_code, reason = "some are reported by other modules, under the same code")]
            pub(super) const $name: &str = $code;
        )*

        /// Every code, in order.
        pub const CATALOGUE: &[Code] = &[
            $(Code { code: $code, title: $title, explanation: $explanation, example: $example },)*
        ];
    };
}

codes! {
    SYNTAX = "PC0101", "the file is not YAML or JSON",
        "The revision is refused as a whole, since nobody can tell what the file held.",
        "message: say: no";
    DUPLICATE_KEY = "PC0102", "a key stands twice in one mapping",
        "Readers differ in which of the two they take; the revision is refused.",
        "`name: a` and, further down in the same mapping, `name: b`";
    UNREADABLE_VALUE = "PC0103", "a value cannot be read",
        "An unknown anchor, a value that does not fit its tag, or a number JSON lacks; the revision is refused.",
        "limit: .inf";
    REGO = "PC0104", "the Rego does not compile",
        "Gatekeeper takes broken Rego without a word and enforces nothing after its next restart.",
        "violation[{\"msg\": msg}] { msg := }";
    BOUNDS = "PC0105", "a file or document is over the bounds",
        "Too many bytes, levels or values; the revision is refused.",
        "a file of 100 MB";
    ENCODING = "PC0106", "the file is not UTF-8",
        "The revision is refused. Control characters count as well.",
        "a file saved as Latin-1";
    NO_FILE = "PC0107", "the file cannot be read from the tree",
        "Symbolic links and submodules are not followed.",
        "policies -> ../elsewhere";
    NAMELESS = "PC0108", "a document without apiVersion and kind",
        "It is left alone. Values files and the like belong elsewhere or in .portcullisignore.",
        "replicas: 3";
    UNKNOWN_DOCUMENT = "PC0109", "a document that is none of a policy repository",
        "Samples of suites are known by their suite; anything else would be applied by nobody.",
        "kind: Deployment";
    REGO_ENTRY = "PC0110", "the Rego has no rule `violation`",
        "Gatekeeper asks for nothing else, so nothing would ever be refused.",
        "deny[msg] { ... }";
    REGO_PACKAGE = "PC0111", "a library of another package",
        "Libraries are packages `lib.*`, imported as `data.lib.*`.",
        "package helpers";
    REGO_DATA = "PC0112", "the Rego reads data it cannot have",
        "Only `data.inventory` and `data.lib` are there.",
        "data.kubernetes.pods";
    REGO_RECURSION = "PC0113", "a rule that calls itself",
        "OPA refuses it; it would never end.",
        "f(x) { f(x) }";
    REGO_FUNCTION = "PC0114", "an unknown or refused function, or wrong arguments",
        "Functions that reach the network or ask for chance cannot be judged again by an audit.",
        "http.send({...})";
    REGO_SPRINTF = "PC0115", "`sprintf` with too few or too many arguments",
        "The message would not say what is meant.",
        "sprintf(\"%v %v\", [a])";
    REGO_SIZE = "PC0116", "the Rego is too large",
        "Too long, or nested too deep, to be judged within bounds.",
        "a module of several megabytes";
    REGO_LANGUAGE = "PC0117", "Rego that this version does not support",
        "It would be judged otherwise than by OPA, so it is refused.",
        "$\"{x}\"";
    TEMPLATE = "PC0120", "the template cannot be understood",
        "A missing or wrong part, or a name that is not the kind in lower case.",
        "name: requiredlabels, kind: K8sRequiredLabels";
    TEMPLATE_FIELD = "PC0121", "unknown field in a template",
        "The API server drops it without a word.",
        "targets: [{regos: ...}]";
    PARAMETER_SCHEMA = "PC0122", "the schema of the parameters is unusable",
        "The API server would refuse the constraint's CRD.",
        "type: strings";
    LONG_NAME = "PC0123", "a name is too long",
        "Names of kinds and constraints end at 63 characters.",
        "a kind of 70 letters";
    UNTESTED = "PC0124", "no suite tests the template",
        "Nothing shows that it refuses what it should, and lets pass the rest.",
        "a template.yaml without suite.yaml";
    UNSEEN_OPERATION = "PC0125", "an operation the default webhook never sees",
        "As installed, Gatekeeper is asked about CREATE and UPDATE only.",
        "operations: [DELETE]";
    NOT_AUDITABLE = "PC0126", "existing objects cannot be judged by this template yet",
        "It asks for the operation, the user, the time or other objects, or is written in CEL: promoted by a person alone.",
        "input.review.userInfo.username";
    DUPLICATE = "PC0127", "two documents of one identity",
        "Both places are named; the policy unit is refused.",
        "two constraints K8sRequiredLabels/all";
    UNMANAGED = "PC0128", "a document that is not managed here",
        "Mutators, external data Providers and kustomizations are applied by other means.",
        "kind: AssignMetadata";
    METADATA = "PC0129", "a label or annotation that is not a text",
        "The API server refuses it. YAML reads an unquoted yes, number or date as something else.",
        "audited: yes";
    PARAMETER = "PC0201", "a parameter that does not fit the template's schema",
        "Gatekeeper refuses unknown parameters and wrong types.",
        "labls: [owner]";
    CONSTRAINT = "PC0202", "the constraint cannot be understood",
        "A missing name, an unknown enforcementAction, a name over 63 characters, broken scoped actions.",
        "enforcementAction: block";
    CONSTRAINT_FIELD = "PC0203", "unknown field in a constraint",
        "spec has enforcementAction, match, parameters and scopedEnforcementActions.",
        "spec: {params: {}}";
    UNKNOWN_KIND = "PC0204", "no template makes the constraint's kind",
        "Templates of others are named in source.externalTemplates.",
        "kind: K8sRequiredLabel";
    EXCLUDED_NAMESPACES = "PC0205", "namespaces are excused in the constraint itself",
        "An Exemption has an owner, a reason and an end. An error where an ExemptionPolicy exists.",
        "excludedNamespaces: [kube-system]";
    LOCKOUT = "PC0206", "the constraint would judge templates and constraints too, at deny",
        "It could refuse the very change that would mend it.",
        "kinds: [{apiGroups: [\"*\"], kinds: [\"*\"]}]";
    ACTION_UNSET = "PC0207", "enforcementAction is not set",
        "The target is then deny, as in Gatekeeper.",
        "spec: {match: ...} without enforcementAction";
    SUBRESOURCE = "PC0208", "a subresource the default webhook never sees",
        "As installed, Gatekeeper is asked about whole objects only.",
        "kinds: [pods/exec]";
    MATCH_FIELD = "PC0230", "unknown field in a match",
        "Gatekeeper refuses it.",
        "match: {namespace: [a]}";
    MATCH_TYPE = "PC0231", "a value of the wrong type in a match",
        "Gatekeeper refuses it.",
        "namespaces: prod";
    MATCH_SELECTOR = "PC0232", "a broken label selector",
        "Kubernetes refuses it.",
        "operator: Is";
    MATCH_GLOB = "PC0233", "a glob that Kubernetes refuses",
        "`*` acts at the front and at the end only.",
        "namespaces: [\"a*b\"]";
    MATCH_SCOPE = "PC0234", "an unknown scope",
        "Gatekeeper takes it, and it matches everything.",
        "scope: Namespace";
    MATCH_KINDS = "PC0235", "an entry of kinds that matches more or less than it seems to",
        "Groups carry no version, kinds are compared with their case, and an absent list means all.",
        "apiGroups: [apps/v1]";
    MATCH_SOURCE = "PC0236", "an unknown source",
        "All, Original or Generated.",
        "source: Any";
    FORM = "PC0301", "a Rollout, Exemption or ExemptionPolicy is not in its form",
        "Its last good version stays, and what it is about is not promoted.",
        "soak: 14 days";
    STAGES = "PC0302", "stages in no usable order",
        "dryrun first, then warn and deny or one of them.",
        "stages: [{action: deny}]";
    TIE = "PC0303", "equally specific Rollouts",
        "A literal name beats a glob on names, then labels, a literal kind, a glob on kinds, and `*`.",
        "two Rollouts that match everything";
    IDLE_ROLLOUT = "PC0304", "a Rollout that matches no constraint",
        "Probably a typo in its match.",
        "kinds: [K8sRequireNonRoots]";
    GLOB = "PC0305", "a glob that matches nothing",
        "`*` acts at the front and at the end only.",
        "name: prod-*-a";
    NOT_ALLOWED = "PC0306", "an Exemption of a namespace the policy does not allow",
        "A glob must be contained in one allowed glob.",
        "namespaces: [\"kube-*\"] where kube-system is allowed";
    DURATION = "PC0307", "an Exemption that lasts longer than the policy allows",
        "Where maxDuration is set, from and expires are required.",
        "expires five years from now";
    TICKET = "PC0308", "an Exemption without the ticket the policy asks for",
        "The ticket must match requireTicket.",
        "ticket: TODO";
    FORBIDDEN = "PC0309", "an Exemption from a constraint nobody is excused from",
        "The policy's forbidConstraints names it.",
        "kind: K8sPrivilegedContainer";
    EXPIRED = "PC0310", "the Exemption has expired",
        "It excuses nothing any more. Never an error: a good tree stays good.",
        "expires: 2020-01-01";
    EXPIRES_SOON = "PC0311", "the Exemption expires soon",
        "What it excuses is judged again from the next day on.",
        "expires in a week";
    GLOB_NAMESPACE = "PC0312", "an Exemption of a glob of namespaces",
        "Whoever may create such a namespace is exempt.",
        "namespaces: [\"team-*\"]";
    EXCUSES_NOTHING = "PC0313", "an Exemption of what does not exist",
        "No constraint here has this kind and name.",
        "constraints: [{kind: K8sGone}]";
    CLUSTER_SCOPED = "PC0314", "an Exemption that can do nothing",
        "The constraint is about cluster-scoped kinds alone, which no namespace excuses.",
        "an Exemption of a policy on ClusterRoles";
    DATES = "PC0315", "dates or time zone of an Exemption are wrong",
        "The last day comes after the first, the time zone is an IANA name.",
        "timezone: Berlin";
    TOO_WIDE = "PC0316", "an Exemption of every namespace, or of none",
        "Name the namespaces; `*` alone is refused.",
        "namespaces: [\"*\"]";
    NEVER_ENDS = "PC0317", "an Exemption without an end",
        "Set expires, so that somebody looks at it again.",
        "an Exemption without expires";
    SUITE = "PC0401", "a suite fails, or cannot be run",
        "`portcullis verify -v` shows each case.",
        "violations: no, and there was one";
    IGNORE_LINE = "PC0402", "a line of .portcullisignore is no pattern",
        "The syntax is gitignore's.",
        "[a-";
    SUITE_FIELD = "PC0403", "a suite looks mistaken",
        "gator passes over fields it does not know, and over the cases of a test marked invalid.",
        "objcet: samples/pod.yaml";
    UNSUPPORTED = "PC0410", "asked for, and not supported yet",
        "What it is about goes no further than dryrun until it is.",
        "windows: [...]";
}

/// What a code means.
pub fn explain(code: &str) -> Option<&'static Code> {
    CATALOGUE.iter().find(|known| known.code == code)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::CATALOGUE;

    fn page() -> String {
        let mut page = String::from(
            "# What `portcullis check` reports\n\nEvery problem has a code that stays the same. An *error* refuses its policy unit (a template with all\nits constraints); a few refuse the whole revision. Codes of the configuration file are PC05xx.\n",
        );
        for code in CATALOGUE {
            let prose = code.example.contains('`')
                || code.example.starts_with("a ")
                || code.example.starts_with("an ")
                || code.example.starts_with("two ")
                || !code.example.contains(|c: char| !c.is_alphanumeric() && c != ' ');
            writeln!(
                page,
                "\n## {}: {}\n\n{} Example: {}.",
                code.code,
                code.title,
                code.explanation,
                if prose { code.example.to_owned() } else { format!("`{}`", code.example) }
            )
            .unwrap();
        }
        page
    }

    #[test]
    fn codes_are_distinct_and_in_order() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the page is this repository's own")]
    fn the_documentation_lists_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/checks.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page(), "run the test with UPDATE_DOCS=1");
    }
}
