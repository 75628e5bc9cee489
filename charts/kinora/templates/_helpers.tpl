{{- /* Names, labels and checks that the templates share. */ -}}
{{- define "kinora.name" -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) | trunc 48 | trimSuffix "-" }}
{{- end }}

{{/* Labels of every object. Takes (dict "root" . "component" "gateway"). */}}
{{- define "kinora.labels" -}}
{{ include "kinora.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kinora
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kinora.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Takes (dict "root" . "target" "cpu"): the Dockerfile's target. */}}
{{- define "kinora.image" -}}
{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}-{{ .target }}
{{- end }}

{{- define "kinora.gatewayUrl" -}}
http://{{ include "kinora.name" . }}-gateway.{{ .Release.Namespace }}:{{ .Values.service.port }}
{{- end }}

{{- define "kinora.tokenSecret" -}}
{{ .Values.workerToken.existingSecret | default (printf "%s-worker-token" (include "kinora.name" .)) }}
{{- end }}

{{/* What every pod has: no token for the Kubernetes API, no root, no way to become it. */}}
{{- define "kinora.pod" -}}
serviceAccountName: {{ include "kinora.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "kinora.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* What the schema cannot say about single values: what is missing together with what, in a sentence. */}}
{{- define "kinora.check" -}}
{{- with .Values.model }}
{{- if .artifactRoot }}
{{- $_ := required "model.storage.endpoint is empty: give host:port of the S3 server that holds model.artifactRoot." .storage.endpoint }}
{{- $_ := required "model.storage.existingSecret is empty: name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY." .storage.existingSecret }}
{{- else if or .version .storage.endpoint $.Values.features.existingSecret }}
{{- fail "model.artifactRoot is empty: name the pipeline's artifact root, such as s3://bucket/prefix, or leave model.version, model.storage and features out too." }}
{{- end }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %v and autoscaling.maxReplicas is %v: the first may not be the larger." .minReplicas .maxReplicas) }}
{{- end }}
{{- end }}
{{- with .Values.ingress }}
{{- if and .enabled (not .host) }}
{{- fail "ingress.host is empty: give the endpoint's host name, or set ingress.enabled to false." }}
{{- end }}
{{- end }}
{{- end }}

{{/* To the gateway, and to the name service that tells where it is. */}}
{{- define "kinora.egress" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "kinora.selector" (dict "root" . "component" "gateway") | nindent 10 }}
  ports:
    - port: http
      protocol: TCP
{{ include "kinora.egressToNames" . }}
{{- end }}

{{- define "kinora.egressToNames" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}

{{/* To the S3 server that holds the artifact root. */}}
{{- define "kinora.egressToStorage" -}}
- ports:
    {{- $port := .Values.model.storage.endpoint | regexFind ":[0-9]+$" | trimPrefix ":" }}
    {{- range .Values.networkPolicy.storagePorts | default (list ($port | default (ternary 443 80 .Values.model.storage.secure))) }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}

{{/* Of gateway and workers: their token, the S3 server of the artifact root, if there is one, and where BentoML and the
libraries write, as the root file system is read-only: both are volumes. */}}
{{- define "kinora.environment" -}}
- name: KINORA_WORKER_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "kinora.tokenSecret" . }}
      key: token
{{- if .Values.model.artifactRoot }}
{{- with .Values.model.storage }}
- name: KINORA_S3_ENDPOINT
  value: {{ .endpoint | quote }}
- name: KINORA_S3_SECURE
  value: {{ .secure | quote }}
{{- with .region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.model.storage.existingSecret }}
      key: {{ $name }}
{{- end }}
{{- end }}
{{- end }}
- name: BENTOML_HOME
  value: /bentoml
- name: BENTOML_DO_NOT_TRACK
  value: "True"
- name: HOME
  value: /tmp
{{- end }}
