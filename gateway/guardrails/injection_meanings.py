"""What attacks on models mean, in whichever English words."""

from gateway.guardrails.injection_rule import Rule

_TOLD = r"(?:instruct\w*|told|taught|given|asked|programmed|configured|set up|trained)"
_PROMPT = (
    r"(?:(?:system|initial|hidden|secret|original|developer|internal|base|starting|first|very first|own) ?)*"
    r"(?:pre-?)?(?:prompts?|instruct\w+|directives?|system messages?|configuration|context window)"
)
_WALLS = (
    r"(?:restrict\w+|filters?|filtering|limit(?:s|ations)?|rules|polic(?:y|ies)|constraints?|guidelines?|guardrails?"
    r"|moderation|censorship|safeguards?|safety|ethics|content policy|boundaries)"
)
_OFF = (
    r"(?:off|gone|waived|lifted|suspended|removed|disabled|cancell?ed|revoked|void|obsolete|outdated|unlocked"
    r"|deactivated"
    r"|no longer (?:apply|valid|exist|in force|binding)|(?:do|does)(?: not|n't) (?:apply|exist|count|matter))"
)
_MODEL = (
    r"(?:ai|a\.i\.|llm|assistants?|language models?|chat ?bots?"
    r"|chatgpt|gpt\S*|claude|gemini|copilot|ai agents?|ai models?)"
)
_HARM = (
    r"(?:bombs?|explosives?|napalm|thermite|nerve (?:gas|agents?)|sarin|ricin|meth(?:amphetamine)?|fentanyl|malware"
    r"|ransomware|keyloggers?|poison gas|molotov|weapons? of|exploit|counterfeit|product keys?|windows keys?"
    r"|license keys?)"
)
_DO = (
    r"(?:e-?mail|send|forward|post|upload|append|include|visit|open|click|call|delete|remove|wipe|transfer|approve"
    r"|run"
    r"|execute|download|give|rank|rate|accept|recommend|reply|respond|say|confirm|buy|pay)"
)

MEANINGS: tuple[Rule, ...] = (
    Rule(
        "set aside what was told",
        r"\b(?:set aside|put aside|pay no (?:attention|heed)|scrap|unlearn|erase|wipe|cancel"
        r"|void|leave behind|let go of|ignor\w+|disregard\w*|forget|abandon|discard)\b[^.\n]{0,40}?\b"
        rf"(?:(?:what(?:ever)?|everything|all|anything)\b[^.\n]{{0,30}}\b{_TOLD}"
        r"|(?:instruct\w+|guidance|guidelines|orders|directions|directives|rules|prompts?|commands)\b[^.\n]{0,15}\b"
        r"(?:you (?:received|were given|got|have)|from (?:before|earlier|above|your)|of your)"
        r"|(?:all |any |your )*(?:prior|previous|earlier|former|old|past) (?:guidance|guidelines|orders|directions"
        r"|rules"
        r"|prompts?|commands|instruct\w+))",
        1.0,
        "forget",
    ),
    Rule(
        "what was told is void",
        r"\b(?:your|all|any|the|these|those) (?:\w+ ){0,2}(?:orders|instruct\w+|directives?|guidelines|rules"
        r"|programming)"
        rf"\b[^.\n]{{0,20}}\b(?:is|are|have been|were|has been)(?: \w+)? {_OFF}",
        0.8,
        "void",
    ),
    Rule(
        "that was only a test",
        r"\b(?:everything|all|the text|the instructions?) (?:above|before this|so far|up to here)\b[^.\n]{0,30}\b"
        r"(?:was|were|is) (?:only |just )?(?:a test|fake|an example|a joke|practice|wrong|void)",
        0.8,
    ),
    Rule(
        "the real task",
        r"\b(?:the|your) (?:real|actual|true|only) (?:task|job|goal|instructions?|purpose) (?:is|are)\b",
        0.5,
    ),
    Rule(
        "show its own prompt",
        r"\b(?:complete|output|dump|print|repeat(?: back)?|reveal|show|display|recite|quote|spell(?: out)?|encode"
        r"|translate"
        r"|give (?:me|us)|tell (?:me|us)|share|expose|leak|paste|write (?:out|down)|list|summari[sz]e|disclose"
        r"|send (?:me|us))"
        rf"\b[^.\n]{{0,30}}\byour (?:\w+ )?{_PROMPT}\b",
        1.0,
        "prompt",
    ),
    Rule(
        "show what came first",
        r"\b(?:output|dump|print|repeat|reveal|show|display|recite|quote|give (?:me|us)|tell (?:me|us)|copy|paste"
        r"|write (?:out"
        r"|down))\b[^.\n]{0,40}\b(?:(?:text|message|words?|everything|instruct\w+|anything|tokens?)\b[^.\n]{0,25}\b"
        r"(?:preced\w+|before|prior to|start(?:ing)? (?:of|from)|above)\b[^.\n]{0,20}\b(?:conversation|chat|my first"
        r"|this (?:message|line)|we started|first token)|(?:developers?|creators?|operators?|owners?"
        r"|company)\b[^.\n]{0,10}\b"
        r"(?:gave|told|wrote|set)\b[^.\n]{0,10}\byou|rules (?:that )?you (?:operate|work|run|act) (?:under|by))",
        1.0,
    ),
    Rule(
        "the beginning of the conversation",
        r"\b(?:first|beginning|start) (?:\w+ ){0,3}(?:words?|lines?|tokens?|characters|part) of (?:this|our|the)"
        r" (?:conversation|chat|context)\b",
        1.0,
    ),
    Rule(
        "do something else instead",
        r"\b(?:ignor\w+|disregard) the (?:document|text|question|user|e-?mail|page"
        r"|article)\b[^.\n]{0,20}\b(?:instead|answer"
        r"|reply|say)\b",
        0.6,
    ),
    Rule("obey a text", r"\b(?:and|then) (?:obey|follow|execute) (?:it|them|what it says)\b", 0.7),
    Rule(
        "what the system said",
        r"\b(?:ignor\w+|disregard\w*|forget|overrid\w+|bypass\w*) what (?:the|your) (?:system|developers?|operator"
        r"|instruct\w+|creators?) (?:said|says?|told|wants?)",
        1.0,
        "forget",
    ),
    Rule("say that it worked", r"\b(?:acknowledge|confirm)\b(?: with| by| and continue|\.|,| that you)", 0.4),
    Rule(
        "delete everything",
        r"\b(?:delete|wipe|erase|remove) (?:all|every)(?: \w+){0,2} (?:files?|data|e-?mails?|records)",
        0.5,
    ),
    Rule(
        "act for somebody else",
        r"\b(?:click|open|visit|follow)\b[^.\n]{0,12}\blink\b|\bconfirm the (?:payment|transfer|order)"
        r"|\btransfer (?:all|the) "
        r"(?:money|funds)|\bcomply and\b",
        0.4,
    ),
    Rule(
        "ask what it was told",
        rf"\bwhat (?:exactly )?(?:were|have) you (?:been )?(?:{_TOLD}|forbidden|not allowed|supposed)\b"
        r"|\bwhat (?:did|does|do|has|have) (?:the|your) (?:developers?|creators?|operators?|owners?|company"
        r"|makers?)\b"
        r"[^.\n]{0,20}\b(?:tell|told|ask(?:ed)?|instruct(?:ed)?|say) you\b"
        r"|\b(?:what|which|how)\b[^.\n]{0,40}\byour (?:own |system |initial |hidden |secret |first |original )+"
        r"(?:prompts?|instruct\w+|message)\b"
        r"|\b(?:line|word|part|beginning|start) of your (?:system |initial )?(?:prompt|instruct\w+)",
        1.0,
        "prompt",
    ),
    Rule(
        "you have no walls",
        rf"\b(?:you|you're|yourself)\b[^.\n]{{0,50}}\b(?:no|without(?: any)?|free(?:d)? (?:of|from)|not bound by"
        r"|beyond|outside"
        rf"|has no|above) (?:\w+ ){{0,3}}{_WALLS}\b",
        1.0,
        "walls",
    ),
    Rule(
        "answer without walls",
        r"\b(?:answer|respond|reply|speak|talk|act|behave|write|generate|continue|a model|an ai"
        r"|assistant)\b[^.\n]{0,40}\b"
        rf"(?:without|with no|free of|as if (?:you had|there were) no) (?:any )?(?:\w+ )?{_WALLS}\b",
        0.8,
        "walls",
    ),
    Rule(
        "walls are gone",
        rf"\b(?:your|all|any|the|safety|content|ethical|usual) (?:\w+ ){{0,2}}{_WALLS}\b[^.\n]{{0,30}}\b"
        rf"(?:(?:is|are|has been|have been|were|was|been)(?: \w+)? {_OFF}|removed|{_OFF}[.!])",
        0.8,
        "void",
    ),
    Rule(
        "take down your walls",
        r"\b(?:ignor\w+|bypass|turn off|switch off|disable|lift|drop|suspend|deactivate|remove|forget|get around"
        r"|circumvent"
        rf"|override|pretend)\b[^.\n]{{0,15}}\byour (?:\w+ ){{0,2}}{_WALLS}\b",
        1.0,
    ),
    Rule(
        "may say anything",
        r"\b(?:allowed|able|free|permitted|willing) to (?:say|do|answer|write|generate) (?:anything|everything"
        r"|whatever)\b"
        r"|\b(?:say|do|answer|generate) (?:anything|any content|everything|all questions)\b[^.\n]{0,30}\bwithout\b",
        0.6,
    ),
    Rule(
        "must obey",
        r"\byou (?:must|have to|will|shall|are (?:required|obliged) to) (?:always )?(?:comply|obey|answer (?:every"
        r"|all|any)"
        r"|fulfil\w*|do (?:whatever|anything|everything))\b|\brefus(?:al|ing)\b[^.\n]{0,15}\b(?:forbidden"
        r"|not (?:allowed|an"
        r" option|permitted)|impossible)",
        0.6,
        "obey",
    ),
    Rule(
        "a mode",
        r"\b(?:maintenance|developer|debug|god|admin|root|unrestricted|jailbreak|override|diagnostic)[ -]mode\b",
        0.4,
        "mode",
    ),
    Rule(
        "to whoever is a model",
        rf"\b(?:if|as|when|since) (?:you(?: are|'re)?|the reader is|reading this as) (?:an? )?{_MODEL}\b"
        r"|\b(?:note|notice|attention|instructions?|message|reminder)s? (?:for|to) (?:all |any "
        rf"|the )?(?:automated|{_MODEL})"
        rf"|(?:^|[\n.!] *){_MODEL}s? *:",
        0.6,
        "reader",
    ),
    Rule(
        "an order to whoever reads",
        rf"\b(?:the )?{_MODEL}\b[^.\n]{{0,20}}\b(?:must|should|shall|has to|have to|needs? to|is to|are to"
        r"|please)(?: also| now)?"
        rf" {_DO}\b"
        r"|\b(?:when|while|after|before|as soon as|once) you?\b[^.\n]{0,10}\b(?:read|process|summari[sz]e|open|see"
        r"|translate"
        rf"|finish|are done)\w*\b[^.\n]{{0,40}}[,;] (?:you must |also |then |please )*{_DO}\b"
        r"|\b(?:before|after|while|when) (?:answering|replying|responding|summari[sz]ing"
        rf"|processing)\b[^.\n]{{0,40}}[,;] "
        rf"(?:\w+ ){{0,3}}{_DO}\b",
        0.6,
    ),
    Rule(
        "in secret",
        r"\b(?:keep (?:quiet|silent|it secret|this secret)|silently|without (?:telling|mentioning|informing|asking"
        r"|saying)"
        r"|do(?: not|n't) (?:say|mention|tell|reveal|disclose)\b[^.\n]{0,20}\b(?:where|that|this|it|how|who|why)"
        r"|nobody must know)",
        0.5,
        "secret",
    ),
    Rule(
        "a secret wanted",
        r"\b(?:list|reveal|tell|show|give|print|append|include|send|leak|share|answer"
        r"|password)\b[^.\n]{0,30}\b(?:(?:your|all|the) (?:\w+ )?"
        r"(?:secrets|passwords?|credentials|api keys?)|\.env\b|admin password|what you were told to keep)",
        0.6,
    ),
    Rule(
        "trust without a check",
        r"\b(?:user|caller|session|request|customer) (?:is|has been|was) (?:an? )?(?:\w+ )?(?:trusted|verified"
        r"|certified|authori[sz]ed"
        r"|authenticated)\b|\bskip (?:the )?(?:verification|authentication|all checks)",
        0.5,
    ),
    Rule(
        "approve whatever comes",
        r"\b(?:approve|accept|confirm|grant|pay|refund)\b[^.\n]{0,30}\b(?:regardless|no matter|whatever|every|any"
        r"|all)\b",
        0.4,
    ),
    Rule(
        "a message of the system",
        r"[\[{<(*]{1,2} ?(?:system|admin|developer|operator)(?: (?:note|message|override|notice|prompt"
        r"|update))?[ \]}>:)*]"
        r"|\"role\" *: *\"(?:system|developer)\"|\b(?:new|updated|urgent) (?:directive|instruct\w+"
        r"|orders?) from (?:the |your )?"
        r"(?:operator|admin\w*|developers?|system|owner)|\b(?:end|begin) of (?:instructions|prompt|system)\b"
        r"|\bbegin(?:ning)? (?:a )?new session\b|\broot privileges\b",
        0.6,
        "marks",
    ),
    Rule(
        "a story around a recipe",
        r"\b(?:imagin\w+|pretend\w*|hypothetical\w*|fiction\w*|universe|role-?play\w*|grand(?:ma|mother|father|pa"
        r"|dad)|bedtime"
        rf"|no laws|nothing is illegal|deceased|late)\b[^\n]{{0,120}}\b(?:how to|steps|recipe|instructions|read me"
        r"|tell me|keys)\b"
        rf"[^\n]{{0,60}}\b{_HARM}|\b{_HARM}\b[^\n]{{0,60}}\b(?:bedtime|grand(?:ma|mother|father|pa))",
        1.0,
    ),
    Rule(
        "against what the system says",
        r"\b(?:opposite of|higher priority than|more important than|instead of|contrary to"
        r"|not)\b[^.\n]{0,20}\b(?:your|the) "
        r"system (?:prompt|message|instruct\w+)",
        1.0,
    ),
)
"""What they mean, in whichever words: to forget, to show, to be without walls, to act on behalf of somebody else."""
