"""The sentences of the notices, in each language under the same keys.

A sentence here states what 16 CFR 312.4 demands, so a change is a change of a legal text. Spanish
is written as Spanish. `{client}`, `{operator}` and the like are filled with what was declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agegate.domain.words import Language

DIRECT: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "why": "Why you get this",
        "why.from_child": (
            "A child who wants to use {client} gave us your e-mail address so that we can ask for "
            "your permission. We use it for nothing else. We did not ask for anybody’s name."
        ),
        "why.not_from_child": "A child wants to use {client}, and we ask for your permission.",
        "why.operator": (
            "{operator} makes {client} and is responsible for what happens with the child’s "
            "information. We ask parents on its behalf."
        ),
        "required": "Nothing happens without you",
        "required.text": (
            "Your permission is required. Without it, {operator} will not collect, use or share "
            "any personal information from the child."
        ),
        "data": "What would be collected, and what for",
        "data.item": "{title}: {data}. {use} Kept for at most {kept}.",
        "data.shared_item": (
            "{title}: {data}. Shared only if you allow it. {use} Kept for at most {kept}."
        ),
        "data.core": "{client} can’t work without this.",
        "who.public": ("{operator} has declared no way for the child to make any of it public."),
        "who": "Who else would receive it",
        "who.nobody": "Nobody. {operator} passes none of it on to anyone else.",
        "who.only": "Those named here and nobody else:",
        "who.integral_general": (
            "{name} ({category}) receives information from {client}, which can’t work without it: "
            "{reason}"
        ),
        "who.integral": (
            "{name} ({category}) receives {data} for {title}. {client} can’t work without it: "
            "{reason}"
        ),
        "who.provider": (
            "{name} ({category}) receives {data} for {title}. It helps to run {client} and may use "
            "the information for nothing else."
        ),
        "who.general": (
            "{name} ({category}) helps to run {client}. Its aims: {aims}. It may use the "
            "information for nothing else."
        ),
        "who.refusable": (
            "{name} ({category}) would receive {data} for {title}. You can refuse this."
        ),
        "who.aims": "Its aims: {aims}.",
        "choice": "You can allow one thing and refuse another",
        "choice.refusable": (
            "You may allow {operator} to collect and use the information and still refuse the "
            "sharing with {names}."
        ),
        "choice.integral": (
            "What goes to {names} is part of {client} itself and can’t be refused on its own."
        ),
        "choice.nothing_shared": (
            "Your permission would cover collecting and using the information. It does not allow "
            "sharing it with third parties."
        ),
        "choice.each": "You answer each point by itself, and nothing is chosen beforehand.",
        "how": "How to give your permission",
        "how.text": (
            "Follow the link in our e-mail. First you show, in a way that you choose, that you are "
            "the parent or guardian. Then you answer. The ways are:"
        ),
        "silence": "If you do not give permission",
        "silence.from_child": (
            "You need not do anything. We delete your address by {date}, which is no more than "
            "{wait} after the child gave it to us. If you refuse, or tell us that this is not "
            "your child, we delete it at once."
        ),
        "silence.not_from_child": "You need not do anything. The request ends on {date}.",
        "undo": "If you change your mind",
        "undo.text": (
            "You can withdraw your permission at any time, without giving a reason. You can also "
            "see what is held about the child, have it deleted, and refuse any further collecting. "
            "Our pages for parents do this in a minute:"
        ),
        "undo.no_page": (
            "You can withdraw your permission at any time, without giving a reason. You can also "
            "see what is held about the child, have it deleted, and refuse any further collecting. "
            "The receipt we send you says how."
        ),
        "more": "The full notice, and who to ask",
        "more.text": "All about how {operator} treats children’s information:",
        "more.contact": "{operator}, {address}. Telephone {phone}, e-mail {email}.",
        "answer.kept": "{title}: {data}. Kept for at most {kept}.",
        "answer.passed_on": "{title}: {data}. Receiver: {names}. Kept for at most {kept}.",
    },
    "es": {
        "why": "Por qué recibe este mensaje",
        "why.from_child": (
            "Un niño o una niña que quiere usar {client} nos dio su dirección de correo para que "
            "le pidamos permiso. No la usamos para nada más. No preguntamos el nombre de nadie."
        ),
        "why.not_from_child": "Un niño o una niña quiere usar {client} y le pedimos su permiso.",
        "why.operator": (
            "{operator} es la empresa que ofrece {client} y responde de lo que se haga con los "
            "datos del menor. Nosotros pedimos el permiso en su nombre."
        ),
        "required": "Sin usted no se hace nada",
        "required.text": (
            "Hace falta su permiso. Sin él, {operator} no recogerá, usará ni compartirá ningún "
            "dato personal del menor."
        ),
        "data": "Qué datos se recogerían y para qué",
        "data.item": "{title}: {data}. {use} Se guarda como máximo {kept}.",
        "data.shared_item": (
            "{title}: {data}. Se comparte solo si usted lo permite. {use} Se guarda como máximo "
            "{kept}."
        ),
        "data.core": "{client} no funciona sin esto.",
        "who.public": (
            "{operator} declara que el menor no tiene forma de hacer públicos estos datos."
        ),
        "who": "Quién más los recibiría",
        "who.nobody": "Nadie. {operator} no entrega estos datos a nadie más.",
        "who.only": "Quienes se nombran aquí y nadie más:",
        "who.integral_general": (
            "{name} ({category}) recibe datos de {client}, que no funciona sin ello: {reason}"
        ),
        "who.integral": (
            "{name} ({category}) recibe {data} para {title}. {client} no funciona sin ello: "
            "{reason}"
        ),
        "who.provider": (
            "{name} ({category}) recibe {data} para {title}. Ayuda a que {client} funcione y no "
            "puede usar los datos para nada más."
        ),
        "who.general": (
            "{name} ({category}) ayuda a que {client} funcione. Sus fines: {aims}. No puede usar "
            "los datos para nada más."
        ),
        "who.refusable": (
            "{name} ({category}) recibiría {data} para {title}. Usted puede negarse a esto."
        ),
        "who.aims": "Sus fines: {aims}.",
        "choice": "Puede aceptar una cosa y rechazar otra",
        "choice.refusable": (
            "Puede permitir que {operator} recoja y use los datos y, aun así, negarse a que los "
            "comparta con {names}."
        ),
        "choice.integral": (
            "Lo que recibe {names} forma parte del propio servicio de {client} y no se puede "
            "rechazar por separado."
        ),
        "choice.nothing_shared": (
            "Su permiso serviría para recoger y usar los datos. No autoriza a compartirlos con "
            "terceros."
        ),
        "choice.each": (
            "Usted responde a cada punto por separado y no hay nada marcado de antemano."
        ),
        "how": "Cómo dar su permiso",
        "how.text": (
            "Siga el enlace de nuestro correo. Primero demuestra, de la forma que usted elija, que "
            "es madre, padre o tutor legal. Después responde. Las formas son:"
        ),
        "silence": "Si no da su permiso",
        "silence.from_child": (
            "No tiene que hacer nada. Borramos su dirección a más tardar el {date}, como máximo "
            "{wait} después de que nos la diera el menor. Si se niega, o si nos dice que no es "
            "su hijo o su hija, la borramos en el acto."
        ),
        "silence.not_from_child": "No tiene que hacer nada. La petición termina el {date}.",
        "undo": "Si cambia de opinión",
        "undo.text": (
            "Puede retirar su permiso cuando quiera y sin dar motivos. También puede ver qué datos "
            "hay del menor, hacer que se borren y oponerse a que se recojan más. En nuestras "
            "páginas para madres y padres se hace en un minuto:"
        ),
        "undo.no_page": (
            "Puede retirar su permiso cuando quiera y sin dar motivos. También puede ver qué datos "
            "hay del menor, hacer que se borren y oponerse a que se recojan más. El justificante "
            "que le enviaremos explica cómo."
        ),
        "more": "El aviso completo y a quién preguntar",
        "more.text": "Todo sobre cómo trata {operator} los datos de los menores:",
        "more.contact": "{operator}, {address}. Teléfono {phone}, correo {email}.",
        "answer.kept": "{title}: {data}. Se guarda como máximo {kept}.",
        "answer.passed_on": (
            "{title}: {data}. Destinatario: {names}. Se guarda como máximo {kept}."
        ),
    },
}

METHODS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "signed_form": "Sign a form and send it back by post, by fax or as a scan.",
        "payment_transaction": (
            "Make a card payment. The card company reports each payment to the account holder."
        ),
        "toll_free_call": "Call a free number and talk to a trained person.",
        "video_conference": "Talk to a trained person in a video call.",
        "gov_id_database": (
            "Give details of an official ID. They are checked against a database, then deleted."
        ),
        "kba": "Answer questions that a child in your home could hardly answer.",
        "fmvpi": (
            "Show a photo ID and take a picture of your face. A trained person checks that they "
            "match, then both are deleted."
        ),
        "email_plus": "Answer by e-mail, and confirm it in a second letter that we send later.",
        "text_plus": "Answer by text message, and confirm it in a second message sent later.",
        "safe_harbor_approved": (
            "Use the way that an approved safe harbor program offers to its members."
        ),
        "commission_approved": (
            "Use a further way that has gone through the procedure of 16 CFR 312.12(a)."
        ),
    },
    "es": {
        "signed_form": "Firmar un formulario y devolverlo por correo postal, por fax o escaneado.",
        "payment_transaction": (
            "Hacer un pago con tarjeta. La entidad avisa de cada pago al titular de la cuenta."
        ),
        "toll_free_call": "Llamar a un número gratuito y hablar con una persona formada para ello.",
        "video_conference": "Hablar por videollamada con una persona formada para ello.",
        "gov_id_database": (
            "Dar los datos de un documento oficial. Se comprueban en una base de datos y después "
            "se borran."
        ),
        "kba": "Responder a preguntas que un menor de su casa difícilmente sabría responder.",
        "fmvpi": (
            "Mostrar un documento con foto y hacerse una foto de la cara. Una persona formada "
            "comprueba que coinciden y después ambas se borran."
        ),
        "email_plus": "Responder por correo y confirmarlo en un segundo mensaje que llega después.",
        "text_plus": "Responder por mensaje de texto y confirmarlo en otro que llega después.",
        "safe_harbor_approved": (
            "Usar la forma que ofrece a sus miembros un programa de puerto seguro aprobado."
        ),
        "commission_approved": (
            "Usar otra forma que ha pasado por el procedimiento de 16 CFR 312.12(a)."
        ),
    },
}
"""Each consent method in words, by its key (16 CFR 312.5(b)(2) and (3))."""

AIMS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "operation": "running the service",
        "analytics": "studies and statistics",
        "advertising": "advertising",
        "sale": "sale",
        "ai_training": "training of artificial intelligence",
    },
    "es": {
        "operation": "hacer funcionar el servicio",
        "analytics": "estudios y estadísticas",
        "advertising": "publicidad",
        "sale": "venta",
        "ai_training": "entrenamiento de inteligencia artificial",
    },
}

UNITS: Final[Mapping[Language, Mapping[str, tuple[str, str]]]] = {
    "en": {"day": ("day", "days"), "hour": ("hour", "hours"), "minute": ("minute", "minutes")},
    "es": {"day": ("día", "días"), "hour": ("hora", "horas"), "minute": ("minuto", "minutos")},
}
