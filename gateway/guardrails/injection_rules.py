"""What attacks on models say: a list of rules, each with a score, that anybody can read and check."""

from gateway.guardrails.injection_languages import LANGUAGES
from gateway.guardrails.injection_meanings import MEANINGS
from gateway.guardrails.injection_rule import Rule

_ORDER = (
    r"(?:instruct\w*|prompts?|rules?|directions?|directives?|guidelines?|guidance|commands?|constraints?|polic(?:y"
    r"|ies)"
    r"|programming|restrictions?|training|context|messages?|orders?)"
)
_EARLIER = (
    r"(?:previous|prior|above|earlier|preceding|former|foregoing|original|initial|existing|old|current|system"
    r"|safety|your"
    r"|these|those|all|any)"
)
_DROP = (
    r"(?:ignor\w+|disregard\w*|forget|overrid\w+|overrul\w+|bypass\w*|dismiss|discard|neglect|abandon"
    r"|(?:do not|don't|stop|no longer|never) (?:follow|obey|listen|adher|compl|pay attention)\w*)"
)
_SHOW = (
    r"\b(?:reveal|show|print|repeat|output|display|tell me|give me|leak|dump|expose|write|recite|paste|copy"
    r"|summari[sz]e|translate|list|share|disclose|what (?:is|are|was|were|does))\b[^.\n]{0,40}\b"
)
_YOURS = (
    r"(?:your (?:full |exact |entire |complete |original |initial |secret |hidden |internal |system )*"
    r"(?:prompt|pre-?prompt|instruct\w*|directives|guidelines|configuration|system message)"
    r"|(?:instructions?|text|prompt|everything|words|lines|messages?) (?:that (?:come|came|is|are|appear\w*) )?"
    r"(?:above|before this))"
)
_SYSTEMS = (
    r"(?:system|initial|hidden|secret|original|developer|pre-?|internal|base|starting) ?"
    r"(?:prompt|message|instruct\w*|directives?|rules|guidelines)"
)
_LIMITS = (
    r"(?:restrict\w+|guideline\w*|filter\w*|limit\w*|rules?|polic\w+|boundar\w+|constraint\w*|safeguard\w*"
    r"|guardrail\w*)"
)

RULES: tuple[Rule, ...] = (
    Rule(
        "ignore instructions",
        rf"\b{_DROP}\b(?:[\s,]+\w+){{0,4}}?[\s,]+{_EARLIER}\b(?:[\s,]+[\w-]+){{0,4}}?[\s,]+{_ORDER}\b",
        1.0,
        "forget",
    ),
    Rule(
        "ignore what came before",
        rf"\b{_DROP}\b[^.\n]{{0,20}}\b(?:everything|anything|all|what|{_ORDER})\b[^.\n]{{0,30}}\b"
        r"(?:above|before|previously|so far|you were (?:told|given|taught)|you have been (?:told|given|taught))\b",
        1.0,
        "forget",
    ),
    Rule("reveal what it was told", rf"{_SHOW}{_YOURS}", 1.0, "prompt"),
    Rule("reveal a prompt", rf"{_SHOW}{_SYSTEMS}", 0.7, "prompt"),
    Rule(
        "word for word",
        r"\b(?:verbatim|word for word|character by character|in(?:side)? a (?:markdown )?code ?block"
        r"|starting with ['\"“]?you are)",
        0.3,
    ),
    Rule(
        "jailbreak by name",
        r"\b(?:jailbr(?:eak|oken)\w*|do anything now|dan mode|(?:act|respond|answer|you are"
        r"|as) (?:now )?(?:as )?dan\b"
        r"|god ?mode|unrestricted mode|evil mode|opposite mode|stay in character as)",
        0.7,
    ),
    Rule(
        "enable a mode",
        r"\b(?:enable|activate|enter|switch (?:in)?to|engage|turn on)\b[^.\n]{0,30}\b(?:developer|debug|admin\w*"
        r"|maintenance|root|god|sudo|unrestricted|jailbreak|dan|override)\b[^.\n]{0,8}\bmode\b",
        0.6,
        "mode",
    ),
    Rule(
        "without limits",
        r"\b(?:no|without|free (?:of|from)|remove|lift|disable|bypass|turn off|not bound by|unbound by"
        r"|not subject to)\b(?: \w+){0,3} (?:ethic\w*|moral\w*|safety|content|censorship|openai\S*|usage"
        r"|programming|legal)\b"
        rf"[^.\n]{{0,30}}\b{_LIMITS}",
        0.7,
        "walls",
    ),
    Rule(
        "has no limits",
        r"\b(?:has|have|having|with|under) no (?:filters?|limits|rules|restrictions|ethics)\b",
        0.4,
        "walls",
    ),
    Rule(
        "limits are gone",
        r"\b(?:rules|policies|guidelines|restrictions|safety (?:layer|filter)s?|guardrails|filters)\b[^.\n]{0,30}\b"
        r"(?:no longer appl\w+|(?:is|are|were|have been|has been) (?:suspended|lifted|removed|disabled|void)"
        r"|removed)",
        0.6,
        "void",
    ),
    Rule(
        "an unrestricted role",
        r"\b(?:pretend|act|role-?play|imagine|you are|simulate|behave|become|assume the role)\b[^.\n]{0,80}\b"
        r"(?:unrestricted|uncensored|unfiltered|amoral|no (?:rules|restrictions|limits|filters?|ethics)"
        r"|without (?:any )?(?:rules|restrictions|limits|filters?|limitations)|never refuses?|can do anything"
        r"|not bound"
        r"|ignores? (?:all|any))",
        1.0,
        "walls",
    ),
    Rule(
        "a new role",
        r"\b(?:you are (?:now|no longer)|from (?:now|this point) on,? you"
        r"|your new (?:role|name|identity|persona|task|goal|purpose|instructions)"
        r"|you will now (?:be|act|respond|become))\b",
        0.4,
    ),
    Rule(
        "new instructions",
        r"(?:\b(?:new|updated|revised|real|actual|true|additional|important|urgent|critical) (?:system )?"
        r"(?:instruct\w+|prompt|task|objective|directives?|orders?)\b\s*(?:for (?:the )?(?:ai|assistant|model|you))?"
        r"\s*[:\-]|\bend of (?:the )?(?:system )?(?:prompt|instructions|user input|document|context)\b)",
        0.6,
        "marks",
    ),
    Rule(
        "marks of a conversation",
        r"(?:<\|(?:im_start|im_end|system|assistant|user|endoftext|start_header_id|eot_id)\|?>|\[/?inst\]|<</?sys>>"
        r"|</?(?:system|instructions?|sys|admin)>"
        r"|(?:^|\n)\s*#{2,}\s*(?:system|new instructions?|instruction|assistant)\b"
        r"|(?:^|\n)\s*\[?(?:system|admin(?:istrator)?)(?: (?:message|note|override|prompt|notice))?\]?\s*:)",
        0.6,
        "marks",
    ),
    Rule(
        "speaks to whoever reads",
        r"\b(?:(?:attention|note|notice|message|instructions?|important|hey|dear|to)[\s,:!]*(?:to "
        r"|for )?(?:the |any |all )?"
        r"(?:ai|a\.i\.|llms?|assistants?|language models?|chatbots?|chatgpt|claude|gemini|copilot|ai agents?"
        r"|agents? reading)\b|if you(?: are|'re) an? (?:ai|llm|language model|assistant|automated|bot)\b"
        r"|ai (?:assistants?|models?|agents?) (?:reading|processing|summari[sz]ing|must|should|are (?:required"
        r"|instructed)))",
        0.6,
        "reader",
    ),
    Rule(
        "keep it from the user",
        r"\b(?:do not|don't|never|without|must not)\b "
        r"(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|reveal(?:ing)?|alert(?:ing)?|notify(?:ing)?|show(?:ing)?"
        r"|let(?:ting)?)\b[^.\n]{0,30}\b(?:the user|users?|anyone|the human|the owner|the customer|them)\b",
        0.5,
        "secret",
    ),
    Rule(
        "send it away",
        r"\b(?:send|post|forward|e-?mail|exfiltrate|upload|transmit|leak|append|submit|include)\b[^.\n]{0,60}\b"
        r"(?:passwords?|api[ _-]?keys?|credentials?|secrets?|tokens?|conversation|chat history|environment variables?"
        r"|env vars?|private keys?|system prompt|session cookies?|inbox|contacts?|ssn"
        r"|all (?:the )?(?:files|emails|documents))\b[^\n]{0,60}"
        r"(?:\bto\b[^\n]{0,40}(?:https?:|@|\.(?:com|net|org|io|xyz|ru))|https?://)",
        0.8,
    ),
    Rule(
        "send it by a picture",
        r"!\[[^\]\n]{0,100}\]\(https?://[^)\s]{1,200}[?&/][^)\s]{0,100}(?:=?(?:\{|%7b|\[)|\$\{)",
        1.0,
    ),
    Rule(
        "answer as told",
        r"\b(?:begin|start|prefix|preface) (?:your|the|each|every)(?: \w+){0,2} "
        r"(?:response|reply|answer|message|output)s?(?: \w+){0,2} with\b[^\n]{0,4}"
        r"(?:sure|absolutely|of course|yes|certainly|\[|i have been|pwned|hacked)",
        0.7,
    ),
    Rule(
        "say a given thing",
        r"\b(?:only|just|simply|instead),? (?:say|output|print|respond(?: with)?|reply(?: with)?|write"
        r"|answer(?: with)?)\b"
        r"[^\n]{0,12}\b(?:pwned|hacked|i have been (?:pwned|hacked|compromised)|haha|owned)\b",
        0.9,
    ),
    Rule(
        "never refuse",
        r"\b(?:you (?:can(?:not|'t)|must (?:not|never)|are not allowed to|should never|will never|never) "
        r"(?:refuse|decline|say no|say that you can|apologi[sz]e)|never (?:refuse|say no|break(?:s)? character)"
        r"|refus(?:al|ing) is not (?:allowed|an option))",
        0.5,
        "obey",
    ),
    Rule(
        "says to be in charge",
        r"\b(?:i am|i'm|this is|speaking as|as) (?:your|the|an?) (?:\w+ )?"
        r"(?:developer|creator|administrator|admin|engineer|owner|maintainer|root user"
        r"|system operator)\b[^\n]{0,60}\b"
        r"(?:authori[sz]e\w*|override|permission|grant\w*|must|disable|access|test\w*|comply|order|require)",
        0.6,
    ),
    Rule(
        "override",
        r"\b(?:system|security|admin|safety|protocol) override\b"
        r"|\boverride (?:code|password|key|protocol|sequence)\b|\bsudo (?:mode|disable|ignore|reveal|show|print)\b",
        0.6,
    ),
    Rule(
        "decode and obey",
        r"\b(?:decode|decrypt|decipher|base64|rot13|reverse)\b[^\n]{0,80}\b(?:and|then)\b[^\n]{0,20}\b"
        r"(?:follow|execute|obey|do (?:what|as)|carry out|comply|run|perform)\b",
        1.0,
    ),
    Rule(
        "hidden in markup",
        r"<!--[^>]{0,400}\b(?:ignore|instruct\w+|assistant|prompt|you must)\b[^>]{0,400}-->"
        r"|(?:display:\s*none|font-size:\s*0|color:\s*(?:white|#fff\w*))[^<]{0,200}\b"
        r"(?:ignore|instruct\w+|assistant|you must)\b",
        1.0,
    ),
    *MEANINGS,
    Rule(
        "in another language",
        r"\b(?:ignorier\w*|missacht\w*|vergiss)\b[^.\n]{0,40}\b(?:anweisung\w*|instruktion\w*|regeln|vorgaben"
        r"|befehle)"
        r"|\b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er))\b[^.\n]{0,40}"
        r"\b(?:instructions|consignes|règles|directives) (?:précédentes|ci-dessus|antérieures|données)"
        r"|\b(?:ignora|ignore|olvida|olvide)\b[^.\n]{0,40}\b(?:instrucciones|reglas|órdenes|indicaciones)"
        r"|\b(?:ignora|dimentica|ignorare)\b[^.\n]{0,40}\b(?:istruzioni|regole)"
        r"|\b(?:ignore|esqueça|desconsidere)\b[^.\n]{0,40}\b(?:instruções|regras|ordens)"
        r"|\bnegeer\b[^.\n]{0,40}\b(?:instructies|regels)"
        r"|(?:игнорируй\w*|забудь\w*)[^.\n]{0,40}(?:инструкц|указани|правил)"
        r"|(?:忽略|无视|忘记|忘掉)[^。\n]{0,20}(?:指令|指示|提示|规则|要求)"
        r"|(?:指示|命令|ルール)を(?:すべて)?(?:無視|忘れ)"
        r"|(?:이전|위의|모든)[^.\n]{0,12}(?:지시|명령|규칙)[^.\n]{0,8}(?:무시|잊)",
        1.0,
    ),
    *LANGUAGES,
    Rule(
        "hypothetically",
        r"\b(?:hypothetical(?:ly)?|in a fictional (?:world|story)|for (?:educational|research) purposes only"
        r"|purely academic)\b[^\n]{0,120}\b(?:no (?:rules|laws|restrictions|limits|ethics)|anything is allowed"
        r"|without (?:refus|restrict|limit|warning|disclaimer)\w*)",
        0.7,
    ),
)
"""What attacks say."""
